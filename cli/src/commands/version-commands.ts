import { type Command, InvalidArgumentError } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import { confirmed } from '../confirmed.ts';

interface SaidOptions extends GlobalOptions {
  readonly reason?: string;
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly note?: string;
  readonly output?: string;
}

interface Live {
  readonly version: number | null;
}

interface GarbageOptions extends SaidOptions {
  readonly dryRun?: boolean;
  readonly olderThan: number;
}

interface GarbageView {
  readonly bundles: number;
  readonly datasets: number;
  readonly bytes: number;
}

/** `hotloop model label|archive|restore|delete|gc|pull|card`. */
export function addVersionCommands(program: Command, context: CommandContext): void {
  const model = program.commands.find((command) => command.name() === 'model');
  if (!model) throw new RangeError('the group `model` comes first');
  const at = (name: string, version?: number) =>
    `/v1/models/${encodeURIComponent(name)}${version === undefined ? '' : `/versions/${version}`}`;
  model
    .command('label')
    .description('set labels and the note of a version')
    .argument('<model>')
    .argument('<version>', 'a version number', parseVersion)
    .argument('[labels...]', 'NAME=VALUE; an empty value takes the label away')
    .option('--note <text>', 'instead of the present note')
    .addHelpText('after', '\nExample:\n  hotloop model label churn 3 team=growth stage=')
    .action(async (name: string, version: number, pairs: string[], _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<SaidOptions>();
      const body = { labels: labelsOf(pairs), ...(options.note === undefined ? {} : { note: options.note }) };
      const done = await controlClient(options, context.signal).put(`${at(name, version)}/labels`, body);
      present(context, options, done, () => `version ${version} of ${name} is labelled`);
    });
  for (const [action, description] of Object.entries(PUT_AWAY))
    model
      .command(action)
      .description(description)
      .argument('<model>')
      .argument('<version>', 'a version number', parseVersion)
      .option('--reason <text>', 'why; stands in the ledger', '')
      .action(async (name: string, version: number, _options: unknown, command: Command) => {
        const options = command.optsWithGlobals<SaidOptions>();
        const path = `${at(name, version)}/${action}`;
        const done = await controlClient(options, context.signal).post(path, { reason: options.reason });
        present(context, options, done, () => `version ${version} of ${name} is ${action}d`);
      });
  model
    .command('delete')
    .description('delete a version that is not in use, or a whole model')
    .argument('<model>')
    .argument('[version]', 'a version number; absent: the model with all its versions', parseVersion)
    .option('--reason <text>', 'why; stands in the ledger', '')
    .option('--force', 'a model although a version of it is live')
    .option('-y, --yes', 'do not ask first')
    .action(async (name: string, version: number | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<SaidOptions>();
      const what =
        version === undefined ? `model ${name} and all its versions` : `version ${version} of ${name}`;
      await confirmed(context, options, `delete ${what}?`);
      const query = { reason: options.reason, ...(options.force ? { force: true } : {}) };
      const done = await controlClient(options, context.signal).delete(at(name, version), query);
      present(context, options, done, () => `${what}: deleted`);
    });
  model
    .command('gc')
    .description('remove bundles and datasets of the store that nothing refers to')
    .option('--dry-run', 'only tell what would go')
    .option('--older-than <hours>', 'what is younger stays', parseHours, 24)
    .option('-y, --yes', 'do not ask first')
    .addHelpText('after', '\nExample:\n  hotloop model gc --dry-run')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GarbageOptions>();
      const dryRun = options.dryRun ?? false;
      if (!dryRun) await confirmed(context, options, 'remove what nothing in the store refers to?');
      const body = { dryRun, olderThanHours: options.olderThan };
      const found = await controlClient(options, context.signal).post<GarbageView>('/v1/store/garbage', body);
      const { bundles, datasets, bytes } = found;
      const what = `${bundles} bundles and ${datasets} datasets, ${(bytes / 1e6).toFixed(1)} MB`;
      present(context, options, found, () => (dryRun ? `${what} would be removed` : `removed ${what}`));
    });
  model
    .command('pull')
    .description('write model.yaml and model.onnx of a version into a folder')
    .argument('<model>')
    .argument('[version]', 'a version number; absent: the live one', parseVersion)
    .option('-o, --output <folder>', 'default: MODEL-VERSION')
    .addHelpText('after', '\nExample:\n  hotloop model pull churn 3 -o churn-3')
    .action(async (name: string, version: number | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<SaidOptions>();
      const control = controlClient(options, context.signal);
      const wanted = version ?? (await control.get<Live>(`${at(name)}/which`)).version;
      if (wanted === null) throw new CommandError(`no version of ${name} is live; name one`);
      const folder = options.output ?? `${name}-${wanted}`;
      const [{ mkdir, writeFile }, { join }] = await Promise.all([
        import('node:fs/promises'),
        import('node:path'),
      ]);
      const files = await Promise.all(
        ['model.yaml', 'model.onnx'].map(async (file) => {
          const response = await control.open(`${at(name, wanted)}/${file}`);
          return { file, bytes: Buffer.from(await response.arrayBuffer()) };
        }),
      );
      await mkdir(folder, { recursive: true });
      for (const { file, bytes } of files) await writeFile(join(folder, file), bytes);
      present(
        context,
        options,
        { model: name, version: wanted, folder },
        () => `version ${wanted} is in ${folder}`,
      );
    });
  model
    .command('card')
    .description('what is known of a version: Markdown, or JSON with --json')
    .argument('<model>')
    .argument('[version]', 'a version number; absent: the live one', parseVersion)
    .action(async (name: string, version: number | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<SaidOptions>();
      const control = controlClient(options, context.signal);
      const wanted = version ?? (await control.get<Live>(`${at(name)}/which`)).version;
      if (wanted === null) throw new CommandError(`no version of ${name} is live; name one`);
      const path = `${at(name, wanted)}/card`;
      if (options.json) return present(context, options, await control.get(path), () => '');
      const markdown = await (await control.open(path, { format: 'markdown' })).text();
      present(context, options, null, () => markdown);
    });
}

const PUT_AWAY = {
  archive: 'put a version away: kept, but not to be promoted',
  restore: 'bring an archived version back',
} as const;

function labelsOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new CommandError(`${JSON.stringify(pair)} is no label; write NAME=VALUE`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

function parseHours(text: string): number {
  const hours = Number(text);
  if (text.trim() === '' || !(hours >= 0)) throw new InvalidArgumentError('must be hours, 0 or more');
  return hours;
}

function parseVersion(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text))
    throw new CommandError(`version must be a number, not ${JSON.stringify(text)}`);
  return Number(text);
}
