import { writeFile } from 'node:fs/promises';
import type { ExplainedFeature } from '@hotloop/model/features/explain-features.ts';
import { HISTORY_FUNCTIONS, SOURCES, TRANSFORMS } from '@hotloop/model/features/registry.ts';
import { decodeManifest } from '@hotloop/model/manifest/decode-manifest.ts';
import type { InferredManifest } from '@hotloop/model/manifest/infer-manifest.ts';
import type { Command } from 'commander';
import {
  type CommandContext,
  controlClient,
  frontDoorClient,
  type GlobalOptions,
  present,
} from '../command-context.ts';
import { CommandError } from '../command-error.ts';
import { draft, modelName } from '../draft-model.ts';
import { columnsOf, type Table, tableWithin } from '../terminal.ts';
import { addBackfill, addSelect } from './features-select.ts';

/** Columns of one feature that the text form shows; --json has them all. */
const SHOWN_COLUMNS = 8;

interface ExplainOptions extends GlobalOptions {
  readonly user?: string;
  readonly entity?: readonly string[];
  readonly candidates?: string;
  readonly useVersion?: string;
}

interface InferOptions extends GlobalOptions {
  readonly label?: string;
  readonly name?: string;
  readonly output?: string;
}

interface ParityOptions extends GlobalOptions {
  readonly since?: string;
  readonly most: string;
}

interface Parity {
  readonly compared: number;
  readonly equal: number;
  readonly skipped: number;
  readonly features: readonly string[];
  readonly disagreeing: readonly {
    readonly feature: string;
    readonly differing: number;
    readonly first_prediction: string;
    readonly served: number | null;
    readonly recomputed: number | null;
  }[];
}

interface Explanation {
  readonly model: string;
  readonly version: number;
  readonly features: readonly ExplainedFeature[];
  readonly degraded: readonly string[];
  /** Absent in answers of earlier versions. */
  readonly unread?: readonly string[];
}

/** `hotloop features`: what features are, how they come about, and a draft of them from data. */
export function addFeaturesCommands(program: Command, context: CommandContext): void {
  const features = program.command('features').description('features of a model: explain, infer, share');

  features
    .command('explain')
    .description('show every column that a request makes, with its value, source and status')
    .argument('<model>')
    .argument('[request]', 'the request as JSON: its fields, or {request, entities, candidates}')
    .option('-u, --user <id>', 'whom it is for; the same as --entity user=ID')
    .option('-e, --entity <name=id...>', 'further entities')
    .option('-c, --candidates <file>', 'JSON list: [{"id": "p1", "price": 3}]; - reads stdin')
    .option('--use-version <version>', 'a version number, or live, candidate, previous')
    .addHelpText('after', `\nExample: hotloop features explain purchase-intent --user u1 '{"visits": 3}'`)
    .action(async (model: string, request: string | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ExplainOptions>();
      const client = frontDoorClient(options, context.signal);
      const body = await explainBody(request, options, context);
      const explained = await client.post<Explanation>(
        `/v1/models/${encodeURIComponent(model)}/explain`,
        body,
      );
      present(context, options, explained, (table) => describeExplanation(explained, table));
    });

  features
    .command('parity')
    .description('recompute logged requests from archived events, and name the features that disagree')
    .argument('<model>')
    .option('--since <time>', 'RFC 3339 (default: a day ago)')
    .option('--most <n>', 'requests at most', '100000')
    .addHelpText('after', '\nExample: hotloop features parity product-ranker --since 2026-01-15T00:00:00Z')
    .action(async (model: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ParityOptions>();
      const parity = await controlClient(options, context.signal).post<Parity>(
        `/v1/models/${encodeURIComponent(model)}/parity`,
        { most: Number(options.most), ...(options.since === undefined ? {} : { since: options.since }) },
      );
      present(context, options, parity, (table) => describeParity(parity, table));
    });

  addSelect(features, context);
  addBackfill(features, context);

  features
    .command('infer')
    .description('draft a model.yaml from a CSV file: types, ranges, means, categories, task, label')
    .argument('<file>', 'a CSV file with a header; - reads stdin')
    .option(
      '--label <column>',
      'the column to be predicted (default: one named label, target ..., or the last)',
    )
    .option('--name <model>', 'name of the model (default: that of the file)')
    .option('-o, --output <file>', 'write model.yaml here instead of to the terminal')
    .addHelpText('after', '\nExample: hotloop features infer customers.csv --label churn -o model.yaml')
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<InferOptions>();
      const text = decodeManifest(await context.readFile(file), file);
      const inferred = draft(options.name ?? modelName(file), text, file, options.label);
      if (options.output !== undefined)
        await writeFile(options.output, inferred.yaml).catch((cause: unknown) => {
          throw new CommandError(`${options.output} cannot be written`, { cause });
        });
      const findings = describeFindings(inferred, tableWithin(columnsOf(context.terminal)));
      if (!options.json && findings !== '') context.terminal.err.write(`${findings}\n`);
      present(context, options, inferred, () =>
        options.output === undefined
          ? inferred.yaml.trimEnd()
          : `${options.output}: task ${inferred.task}, label ${inferred.label}, ${inferred.features.length} features`,
      );
    });

  features
    .command('push')
    .description('keep a features.yaml as the next version, for `use: NAME` in models')
    .argument('<file>', 'features.yaml')
    .addHelpText('after', '\nExample: hotloop features push features.yaml')
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const yaml = decodeManifest(await context.readFile(file), file);
      const kept = await controlClient(options, context.signal).put<{ version: number; features: string[] }>(
        '/v1/features',
        { yaml },
      );
      present(
        context,
        options,
        kept,
        () => `features.yaml version ${kept.version}: ${kept.features.join(', ')}`,
      );
    });

  features
    .command('kinds')
    .description('list every source, history function and transform')
    .action((_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const kinds = [
        ...SOURCES.map(({ forms, documentation }) => ({
          kind: 'source',
          form: forms.join(', '),
          documentation,
        })),
        ...HISTORY_FUNCTIONS.map(({ form, documentation }) => ({ kind: 'function', form, documentation })),
        ...TRANSFORMS.map(({ example, documentation }) => ({
          kind: 'transform',
          form: example,
          documentation,
        })),
      ];
      present(context, options, kinds, () =>
        kinds.map(({ kind, form, documentation }) => `${kind} ${form}\n  ${documentation}`).join('\n'),
      );
    });
}

function describeParity({ compared, equal, skipped, features, disagreeing }: Parity, table: Table): string {
  const head = `${equal} of ${compared} requests agree in ${features.length} features from history; ${skipped} could not be compared`;
  if (disagreeing.length === 0) return head;
  const rows = disagreeing.map((one) => [
    ...[one.feature, one.differing, one.first_prediction],
    ...[one.served ?? 'NaN', one.recomputed ?? 'NaN'],
  ]);
  return `${head}\n${table(['feature', 'differing', 'first request', 'served', 'recomputed'], rows)}`;
}

async function explainBody(
  text: string | undefined,
  options: ExplainOptions,
  context: CommandContext,
): Promise<unknown> {
  const given = text === undefined ? {} : parseJson(text, 'the request');
  if (!isRecord(given)) throw new CommandError('the request must be a JSON object, such as {"visits": 3}');
  const isWhole = Object.keys(given).length > 0 && Object.keys(given).every((key) => WHOLE.has(key));
  const whole: Record<string, unknown> = isWhole ? given : { request: given };
  const candidates =
    options.candidates === undefined
      ? []
      : parseJson((await context.readFile(options.candidates)).toString('utf8'), options.candidates);
  if (!Array.isArray(candidates)) throw new CommandError(`${options.candidates} must hold a JSON list`);
  const entities = Object.fromEntries((options.entity ?? []).map(parseEntity));
  if (options.user !== undefined) entities.user = options.user;
  return {
    ...whole,
    entities: { ...(isRecord(whole.entities) ? whole.entities : {}), ...entities },
    ...(options.useVersion === undefined ? {} : { version: options.useVersion }),
    ...(options.candidates === undefined
      ? {}
      : {
          candidates: candidates.map((candidate: Record<string, unknown>) => {
            const { id, ...attributes } = candidate;
            return { id: String(id), attributes };
          }),
        }),
  };
}

/** Keys of a whole prediction; a request with only such fields is taken for one. */
const WHOLE: ReadonlySet<string> = new Set(['request', 'entities', 'candidates', 'version']);

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseEntity(text: string): [string, string] {
  const split = text.indexOf('=');
  if (split < 1) throw new CommandError(`--entity must be NAME=ID, not ${JSON.stringify(text)}`);
  return [text.slice(0, split), text.slice(split + 1)];
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CommandError(`${where} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function describeExplanation(
  { model, version, features, degraded, unread = [] }: Explanation,
  table: Table,
): string {
  const rows = features.flatMap(({ feature, source, status, candidate, raw, columns }) => {
    const lit =
      columns.length <= SHOWN_COLUMNS
        ? columns
        : columns.filter(({ value }) => value !== 0).slice(0, SHOWN_COLUMNS);
    const from = short(source, 34);
    if (lit.length === 0)
      return [[feature, '', short(JSON.stringify(raw[0] ?? null), 20), from, status, candidate]];
    return lit.map(({ name, value }, place) => [
      short(name, 28),
      value === null ? 'NaN' : String(typeof value === 'number' ? Number(value.toPrecision(6)) : value),
      place === 0 ? short(raw.map((one) => JSON.stringify(one)).join(' '), 16) : '',
      place === 0 ? from : '',
      place === 0 ? status : '',
      candidate,
    ]);
  });
  const without = degraded.length === 0 ? '' : `, without ${degraded.join(', ')}`;
  const unused = unread.length === 0 ? '' : `\nnot used by this version: ${unread.join(', ')}`;
  return `${model} version ${version}${without}${unused}\n${table(['column', 'value', 'raw', 'source', 'status', 'candidate'], rows)}`;
}

function short(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

function describeFindings({ findings }: InferredManifest, table: Table): string {
  if (findings.length === 0) return '';
  return table(
    ['column', 'finding', 'detail'],
    findings.map(({ column, finding, detail }) => [short(column, 24), finding, short(detail, 60)]),
  );
}
