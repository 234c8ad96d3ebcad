import { createReadStream, createWriteStream } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { decodeManifest } from '@hotloop/model/manifest/decode-manifest.ts';
import { Command } from 'commander';
import { type CommandContext, controlClient, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import { draft, modelName } from '../draft-model.ts';
import { progressLine } from '../terminal.ts';

interface DatasetShown {
  readonly sha256: string;
  readonly model: string;
  readonly kind: string;
  readonly examples: number;
  readonly columns: number;
  readonly positives: number;
  readonly bytes: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly parentSha256: string | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly createdAt: string;
}

interface FileOptions extends GlobalOptions {
  readonly label?: string;
  readonly at?: string;
}

interface Imported {
  /** Null for outcomes of predictions. */
  readonly sha256: string | null;
  readonly duplicates?: number;
  readonly examples: number;
  readonly refused: number;
  readonly problems: readonly string[];
}

interface BuildOptions extends GlobalOptions {
  readonly labels: string;
  readonly label: string;
  readonly at: string;
  readonly events: string;
}

interface Built extends Omit<Imported, 'sha256'> {
  readonly sha256: string;
  readonly rows_with_events: number;
}

interface Trained extends Omit<Imported, 'sha256'> {
  readonly model: string;
  readonly version: number;
  readonly dataset: string;
  readonly metrics: Readonly<Record<string, number>>;
}

/** A first version is trained while the caller waits. */
const TRAIN_TIMEOUT_MS = 3_600_000;

/** `hotloop dataset list|show|export`, `hotloop train` and `hotloop outcomes import`. */
export function addDatasetCommands(program: Command, context: CommandContext): void {
  const dataset = new Command('dataset').description('what versions were trained on');
  program.addCommand(dataset);
  dataset
    .command('list')
    .description('the newest datasets')
    .argument('[model]')
    .addHelpText('after', '\nExample: hotloop dataset list churn')
    .action(async (model: string | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { datasets } = await controlClient(options, context.signal).get<{ datasets: DatasetShown[] }>(
        '/v1/datasets',
        { model },
      );
      present(context, options, datasets, (table) =>
        datasets.length === 0
          ? 'no datasets yet; `hotloop retrain MODEL` or `hotloop train FILE` makes one'
          : table(
              ['dataset', 'model', 'kind', 'rows', 'positives', 'held out', 'made'],
              datasets.map((one) => [
                one.sha256.slice(0, 12),
                one.model.slice(0, 24),
                one.kind,
                one.examples,
                one.positives,
                one.parts.holdout ?? 0,
                one.createdAt.slice(0, 19),
              ]),
            ),
      );
    });
  dataset
    .command('show')
    .description('what a dataset is made of, and what could not be used')
    .argument('<digest>', 'the digest, or the first digits of it')
    .action(async (digest: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const one = await controlClient(options, context.signal).get<DatasetShown>(`/v1/datasets/${digest}`);
      present(context, options, one, () => describe(one));
    });
  dataset
    .command('export')
    .description('save the rows as Parquet')
    .argument('<digest>')
    .requiredOption('-o, --output <file>', 'where to')
    .addHelpText('after', '\nExample: hotloop dataset export 3f2a9c -o churn.parquet')
    .action(async (digest: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { output: string }>();
      const answer = await controlClient(options, context.signal).open(`/v1/datasets/${digest}/file`);
      if (!answer.body) throw new CommandError('the control API answered nothing');
      await pipeline(Readable.fromWeb(answer.body as never), createWriteStream(options.output));
      const { size } = await stat(options.output);
      present(
        context,
        options,
        { file: options.output, bytes: size },
        () => `${options.output}: ${size} bytes`,
      );
    });
  addBuild(dataset, context);
  addTrain(program, context);
  const outcomes = new Command('outcomes').description('what happened after predictions');
  program.addCommand(outcomes);
  outcomes
    .command('import')
    .description(
      'outcomes of predictions from a file, or labelled examples: history that later versions learn from',
    )
    .argument('<file>', 'CSV, JSONL or Parquet: prediction_id and label, or the features and the label')
    .requiredOption('-m, --model <name>', 'whose history it is')
    .requiredOption('-l, --label <column>', 'the column that holds the label')
    .option('--at <column>', 'the column that holds the time of each row, in RFC 3339')
    .addHelpText('after', '\nExample: hotloop outcomes import 2025.csv --model churn --label left --at day')
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<FileOptions & { model: string }>();
      const path = `/v1/models/${encodeURIComponent(options.model)}/history`;
      const imported = await upload<Imported>(context, options, file, path, {});
      present(context, options, imported, () =>
        [
          imported.sha256 === null
            ? `${imported.examples} outcomes, ${imported.duplicates ?? 0} known before`
            : `${imported.examples} labelled rows, dataset ${imported.sha256.slice(0, 12)}`,
          ...refusals(imported),
        ].join('\n'),
      );
    });
}

/** `arrival` is what serving would have seen; `time` is for events that were imported long after they happened. */
const EVENTS_OPTION = [
  '--events <from>',
  'from when on an event counts: its arrival, or its own time (for events imported later)',
  'arrival',
] as const;

function addBuild(dataset: Command, context: CommandContext): void {
  dataset
    .command('build')
    .description('a training set from past labels: features as they were at each row’s time, never later')
    .argument('<model>', 'a registered model; its features are computed from the archived events')
    .requiredOption('--labels <file>', 'CSV, JSONL or Parquet: entities, request fields, label and time')
    .requiredOption('--at <column>', 'the column that holds the time of each row, in RFC 3339')
    .option('-l, --label <column>', 'the column that holds the label', 'label')
    .option(...EVENTS_OPTION)
    .addHelpText('after', '\nExample: hotloop dataset build churn --labels 2025.csv --at day --label left')
    .action(async (model: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<BuildOptions>();
      const path = `/v1/models/${encodeURIComponent(model)}/datasets`;
      const built = await upload<Built>(context, options, options.labels, path, { events: options.events });
      present(context, options, built, () =>
        [
          `${built.examples} rows, dataset ${built.sha256.slice(0, 12)}; ${built.rows_with_events} of them had events`,
          ...(built.rows_with_events === 0
            ? ['no event counted for any row; were the events imported later? then pass --events time']
            : []),
          ...refusals(built),
          `\`hotloop retrain ${model}\` learns from it; \`hotloop dataset export\` saves it`,
        ].join('\n'),
      );
    });
}

function addTrain(program: Command, context: CommandContext): void {
  program
    .command('train')
    .description('train a first version from a file, without live predictions')
    .argument('<file>', 'CSV, JSONL or Parquet, with a header')
    .option(
      '-m, --model <model.yaml>',
      'describes the model; without it one is drafted from the CSV and kept beside it',
    )
    .requiredOption('-l, --label <column>', 'the column that holds the label')
    .option('--at <column>', 'the column that holds the time of each row, in RFC 3339')
    .option(...EVENTS_OPTION)
    .addHelpText('after', '\nExample: hotloop train churn.csv --label left')
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<FileOptions & { model?: string; events: string }>();
      const described = options.model ?? (await draftBeside(context, file, options.label));
      const manifest = await context.readFile(described);
      const query = { manifest_bytes: String(manifest.length), events: options.events };
      const path = '/v1/models/first-version';
      const trained = await upload<Trained>(context, options, file, path, query, manifest);
      present(context, options, trained, () =>
        [
          `${trained.model} version ${trained.version}, trained on ${trained.examples} rows (dataset ${trained.dataset.slice(0, 12)})`,
          ...Object.entries(trained.metrics).map(
            ([name, value]) => `  ${name.padEnd(18)}${Number(value.toFixed(4))}`,
          ),
          ...refusals(trained),
          `\`hotloop model promote ${trained.model} ${trained.version}\` makes it live`,
        ].join('\n'),
      );
    });
}

/** Drafts a model.yaml from a CSV, prints it and keeps it beside the file. Returns its path. */
async function draftBeside(
  context: CommandContext,
  file: string,
  label: string | undefined,
): Promise<string> {
  if (/\.(parquet|jsonl|ndjson)$/i.test(file))
    throw new CommandError('a model.yaml is drafted from CSV alone; write one and pass --model');
  const path = join(dirname(file), 'model.yaml');
  const text = decodeManifest(await context.readFile(file), file);
  const { yaml } = draft(modelName(file), text, file, label);
  await writeFile(path, yaml, { flag: 'wx' }).catch((cause: unknown) => {
    throw new CommandError(`${path} is there already, or cannot be written; pass --model ${path} to use it`, {
      cause,
    });
  });
  context.terminal.err.write(`${yaml}\ndrafted as ${path}; edit it and pass --model to train again\n`);
  return path;
}

async function upload<T>(
  context: CommandContext,
  options: FileOptions,
  file: string,
  path: string,
  query: Readonly<Record<string, string>>,
  preface?: Uint8Array,
): Promise<T> {
  const { size } = await stat(file).catch((cause: unknown) => {
    throw new CommandError(`${file} cannot be read`, { cause });
  });
  using progress = progressLine(context.terminal);
  let sent = 0;
  const stream = createReadStream(file).on('data', (chunk) => {
    sent += chunk.length;
    progress.update(
      sent < size ? `sending ${file}` : 'sent; waiting for the answer',
      sent / Math.max(size, 1),
    );
  });
  const client = controlClient({ timeout: TRAIN_TIMEOUT_MS, ...options }, context.signal);
  return client.upload<T>(
    path,
    Readable.toWeb(Readable.from(inTurn(preface, stream))) as ReadableStream<Uint8Array>,
    'application/octet-stream',
    {
      ...query,
      label: options.label,
      at: options.at,
    },
  );
}

async function* inTurn(preface: Uint8Array | undefined, file: Readable): AsyncGenerator<Uint8Array> {
  if (preface !== undefined) yield preface;
  yield* file as AsyncIterable<Uint8Array>;
}

function refusals({ refused, problems }: Pick<Imported, 'refused' | 'problems'>): string[] {
  if (refused === 0) return [];
  return [`${refused} rows were refused:`, ...problems.slice(0, 10).map((problem) => `  ${problem}`)];
}

function describe(one: DatasetShown): string {
  const parts = Object.entries(one.parts).map(([part, rows]) => `${rows} ${part.replace('_', ' ')}`);
  return [
    `${one.sha256}`,
    `${one.model}: ${one.kind}, ${one.examples} rows of ${one.columns} columns, ${one.positives} positive, ${one.bytes} bytes`,
    `rows        ${parts.join(', ')}`,
    `from        ${one.from ?? '-'} to ${one.to ?? '-'}`,
    `parent      ${one.parentSha256 ?? '-'}`,
    ...Object.entries(one.detail).map(
      ([name, value]) => `${name.padEnd(12)}${typeof value === 'string' ? value : JSON.stringify(value)}`,
    ),
  ].join('\n');
}
