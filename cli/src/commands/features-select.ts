import { type Command, InvalidArgumentError } from 'commander';
import {
  type CommandContext,
  controlClient,
  frontDoorClient,
  type GlobalOptions,
  present,
} from '../command-context.ts';
import type { Table } from '../terminal.ts';

interface SelectOptions extends GlobalOptions {
  readonly repeats: number;
  readonly retrain: boolean;
}

interface Selection {
  readonly model: string;
  readonly version: number;
  readonly metric: string;
  readonly value: number | null;
  readonly rows: number;
  readonly note: string;
  readonly features: readonly {
    readonly feature: string;
    readonly importance: number | null;
    readonly error: number | null;
    readonly useless: boolean;
  }[];
  readonly retrained: {
    readonly kept: readonly string[];
    readonly with_all: number | null;
    readonly without_useless: number | null;
    readonly interval: { readonly low: number | null; readonly high: number | null };
  } | null;
}

interface Backfilled {
  readonly types: readonly string[];
  readonly events: number;
  readonly seconds: number;
}

/** Both train or read for long. */
const TIMEOUT_MS = 3_600_000;

/** `hotloop features select`. */
export function addSelect(features: Command, context: CommandContext): void {
  features
    .command('select')
    .description('rank features by permutation importance on held-out labels; train without the useless ones')
    .argument('<model>')
    .option('--repeats <n>', 'how often each feature is shuffled', wholeNumber, 5)
    .option('--no-retrain', 'only rank them')
    .addHelpText('after', '\nExample: hotloop features select churn')
    .action(async (model: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<SelectOptions>();
      const client = controlClient({ timeout: TIMEOUT_MS, ...options }, context.signal);
      const { repeats, retrain } = options;
      const path = `/v1/models/${encodeURIComponent(model)}/features/select`;
      const selection = await client.post<Selection>(path, { repeats, retrain });
      present(context, options, selection, (table) => describe(selection, table));
    });
}

/** `hotloop features backfill`. */
export function addBackfill(features: Command, context: CommandContext): void {
  features
    .command('backfill')
    .description('fill the history with the archived events that a model reads, while it serves')
    .argument('<model>')
    .option('--since <time>', 'RFC 3339 (default: as far back as the history keeps events)')
    .addHelpText('after', '\nExample: hotloop features backfill product-ranker')
    .action(async (model: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { since?: string }>();
      const client = frontDoorClient({ timeout: TIMEOUT_MS, ...options }, context.signal);
      const path = `/v1/models/${encodeURIComponent(model)}/backfill`;
      const done = await client.post<Backfilled>(
        path,
        options.since === undefined ? {} : { since: options.since },
      );
      present(
        context,
        options,
        done,
        () =>
          `${done.events} events of ${done.types.join(', ')} are in the history, ${done.seconds.toFixed(1)} s`,
      );
    });
}

function describe(
  { model, version, metric, value, rows, features, retrained, note }: Selection,
  table: Table,
): string {
  const shown = (number: number | null) => (number === null ? '-' : Number(number.toPrecision(4)));
  const lines = features.map((one) => [
    ...[one.feature.slice(0, 40), shown(one.importance), shown(one.error)],
    one.useless ? 'useless' : '',
  ]);
  const { low, high } = retrained?.interval ?? { low: null, high: null };
  const comparison =
    retrained === null
      ? `nothing was trained: ${note}`
      : `trained again: ${metric} ${shown(retrained.with_all)} with all features, ${shown(retrained.without_useless)} with ` +
        `${retrained.kept.length} of them; better by ${shown(low)} to ${shown(high)} (95 %)`;
  return [
    `${model} version ${version}: ${metric} ${shown(value)} on ${rows} held-out rows`,
    table(['feature', 'importance', 'standard error', ''], lines),
    comparison,
  ].join('\n');
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 2) throw new InvalidArgumentError('must be a whole number above 1');
  return value;
}
