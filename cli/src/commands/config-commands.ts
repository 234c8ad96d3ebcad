import { Command } from 'commander';
import { type CommandContext, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import {
  CONTEXT_FIELDS,
  type ConfigFile,
  chosenContext,
  type NamedContext,
  readConfigFile,
  writeConfigFile,
} from '../config-file.ts';
import { confirmed } from '../confirmed.ts';

/** `hotloop config list|set|use|remove`. */
export function addConfigCommands(program: Command, context: CommandContext): void {
  const config = new Command('config').description('named contexts: where Hotloop is, kept in a file');
  program.addCommand(config);
  const path = context.configPath ?? '';
  config
    .command('list')
    .description('every context; * is the one that is used')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const file = await readConfigFile(path);
      const hidden = { path, context: file.context ?? null, contexts: hideKeys(file) };
      present(context, options, hidden, (table) => {
        const rows = Object.entries(file.contexts).map(([name, one]) => [
          name === file.context ? `* ${name}` : `  ${name}`,
          one.address ?? '-',
          one.control ?? '-',
          one.apiKey === undefined ? '-' : 'set',
        ]);
        if (rows.length === 0)
          return `${path} has no contexts; \`hotloop config set NAME --address HOST:PORT\` adds one`;
        return table(['  context', 'address', 'control', 'key'], rows);
      });
    });
  config
    .command('set')
    .description('add or change a context, with the options that say where Hotloop is')
    .argument('<name>')
    .addHelpText(
      'after',
      '\nExample:\n  hotloop config set prod --address hotloop.example:7400 --control https://hotloop.example:7404',
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const given = Object.fromEntries(
        Object.values(CONTEXT_FIELDS).flatMap((field) =>
          isTyped(command, field) && options[field] !== undefined ? [[field, options[field]]] : [],
        ),
      ) as NamedContext;
      if (Object.keys(given).length === 0)
        throw new CommandError(
          'say where it is: --address, --retrainer, --control, --front-door or --api-key',
        );
      const file = await readConfigFile(path);
      const changed = { ...file.contexts[name], ...given };
      await writeConfigFile(path, {
        context: file.context ?? name,
        contexts: { ...file.contexts, [name]: changed },
      });
      present(context, options, { context: name }, () => `context ${name} is in ${path}`);
    });
  config
    .command('use')
    .description('use a context where none is named')
    .argument('<name>')
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const file = await readConfigFile(path);
      chosenContext(file, name, path);
      await writeConfigFile(path, { ...file, context: name });
      present(context, options, { context: name }, () => `context ${name} is used now`);
    });
  config
    .command('remove')
    .description('remove a context')
    .argument('<name>')
    .option('-y, --yes', 'do not ask first')
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { yes?: boolean }>();
      const file = await readConfigFile(path);
      chosenContext(file, name, path);
      await confirmed(context, options, `remove context ${name}?`);
      const { [name]: _, ...contexts } = file.contexts;
      const used = file.context === undefined || file.context === name ? {} : { context: file.context };
      await writeConfigFile(path, { ...used, contexts });
      present(context, options, { removed: name }, () => `context ${name} is removed`);
    });
}

/** True for an option of the command line; what the environment says is not kept. */
function isTyped(command: Command, option: string): boolean {
  return command.getOptionValueSourceWithGlobals(option) === 'cli';
}

function hideKeys({ contexts }: ConfigFile): Record<string, NamedContext> {
  return Object.fromEntries(
    Object.entries(contexts).map(([name, { apiKey, ...rest }]) => [
      name,
      apiKey === undefined ? rest : { ...rest, apiKey: '***' },
    ]),
  );
}
