import { Command, CommanderError, InvalidArgumentError } from 'commander';
import type { CommandContext, CommandTree, GlobalOptions } from './command-context.ts';
import { commandFailure } from './command-error.ts';
import { COMMAND_EXAMPLES } from './commands/command-examples.ts';
import { COMMAND_GROUPS, type CommandGroup } from './commands/commands.ts';

/** What the environment says where the command line does not. */
export interface CommandDefaults {
  readonly address?: string;
  readonly retrainer?: string;
  readonly control?: string;
  readonly frontDoor?: string;
  readonly apiKey?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** Runs one command line (without the program's name) and resolves with its exit code; never rejects. */
export async function runCommandLine(
  args: readonly string[],
  context: CommandContext,
  defaults: CommandDefaults = {},
): Promise<number> {
  const { terminal } = context;
  let exitCode = 0;
  const program = await buildProgram(typedGroups(args), {
    ...context,
    commandTree: () => commandTree(context),
    up: async (options) => (exitCode = await context.up(options)),
    fail: (code) => {
      exitCode = code;
    },
  });
  for (const [name, value] of Object.entries(defaults)) program.setOptionValueWithSource(name, value, 'env');
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      // Commander has said it to people already.
      const message = error.message.replace(/^error: /, '');
      const failure = { exitCode: 2, code: 'USAGE', message, advice: '--help shows how' };
      if (args.includes('--json')) terminal.out.write(`${JSON.stringify({ error: failure })}\n`);
      return failure.exitCode;
    }
    const failure = commandFailure(error);
    const { json } = program.opts<GlobalOptions>();
    if (json) terminal.out.write(`${JSON.stringify({ error: failure })}\n`);
    terminal.err.write(`hotloop: ${failure.message}\n`);
    if (failure.advice !== '') terminal.err.write(`  ${failure.advice}\n`);
    return failure.exitCode;
  }
}

/** Options of the program that take a value: what follows one is no command. */
const VALUED =
  /^(-a|--(address|retrainer|control|front-door|api-key|tls-ca|tls-cert|tls-key|timeout|context))$/;

/** The groups whose files are needed: that of the first word that is no option, or that `help` names. */
function typedGroups(args: readonly string[]): readonly CommandGroup[] {
  const words = args.filter((word, index) => !word.startsWith('-') && !VALUED.test(args[index - 1] ?? ''));
  const name = words[0] === 'help' ? words[1] : words[0];
  return COMMAND_GROUPS.filter(({ commands }) => name !== undefined && Object.hasOwn(commands, name));
}

async function commandTree(context: CommandContext): Promise<CommandTree> {
  const program = await buildProgram(COMMAND_GROUPS, context);
  const words = (command: Command) => [
    ...command.commands.map((inner) => inner.name()),
    ...command.options.flatMap((option) => option.long ?? []),
  ];
  return Object.fromEntries([
    ['', program.commands.map((command) => command.name())],
    ...program.commands.map((command) => [command.name(), words(command)] as const),
  ]);
}

/** The program with the commands of the groups given; of the others it knows the names. */
export async function buildProgram(
  groups: readonly CommandGroup[],
  context: CommandContext,
): Promise<Command> {
  const { terminal } = context;
  const program = new Command('hotloop')
    .description('Predict, log, learn, swap.')
    .option('-a, --address <host:port>', 'where the front door is (default 127.0.0.1:7400)')
    .option('--retrainer <host:port>', 'where the retrainer is (default: the same host, port 7403)')
    .option('--control <url>', 'where the control API is (default http://127.0.0.1:7404)')
    .option('--front-door <url>', 'where REST is (default http://127.0.0.1:7480)')
    .option('--api-key <key>', 'key to call with')
    .option('--tls-ca <file>', 'certificates that sign those of the services; without it: no TLS')
    .option('--tls-cert <file>', 'own certificate, where the services ask for one')
    .option('--tls-key <file>', 'its key')
    .option('--context <name>', 'a context of the configuration file; see `hotloop config`')
    .option('--timeout <ms>', 'deadline of each call', parseMilliseconds)
    .option('--json', 'one line of JSON instead of text')
    .showHelpAfterError('(--help shows how)');
  if (context.version !== undefined) program.version(context.version, '-v, --version');
  for (const group of COMMAND_GROUPS)
    if (groups.includes(group)) for (const add of await group.load()) add(program, context);
    else
      for (const [name, description] of Object.entries(group.commands))
        program.command(name).description(description);
  addExamples(program, '');
  forEachCommand(program, (command) => {
    command.exitOverride();
    command.configureHelp({ showGlobalOptions: true });
    command.configureOutput({
      writeOut: (text) => terminal.out.write(text),
      writeErr: (text) => terminal.err.write(text),
    });
  });
  return program;
}

function addExamples(parent: Command, path: string): void {
  for (const command of parent.commands) {
    const words = `${path}${command.name()}`;
    const example = COMMAND_EXAMPLES[words];
    if (example !== undefined) command.addHelpText('after', `\nExample:\n  ${example}`);
    addExamples(command, `${words} `);
  }
}

/** Global options may stand before or after the command's name. */
function forEachCommand(program: Command, visit: (command: Command) => void): void {
  visit(program);
  for (const command of program.commands) forEachCommand(command, visit);
}

function parseMilliseconds(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('must be whole milliseconds, 1 or more');
  return value;
}
