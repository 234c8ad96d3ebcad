import { type MonitorSpec, monitorSchema, SIGNAL_KINDS } from '@hotloop/model/manifest/monitor-schema.ts';
import { openDuckDb } from '@hotloop/platform/duckdb/duckdb.ts';
import { type CheckResult, checkTables } from '@hotloop/retrainer/monitoring/check/check-tables.ts';
import { readTable } from '@hotloop/retrainer/monitoring/check/read-table.ts';
import { notJudgedLines } from '@hotloop/retrainer/monitoring/signals/not-judged.ts';
import type { Command } from 'commander';
import { type CommandContext, type GlobalOptions, present } from '../command-context.ts';
import { CommandError } from '../command-error.ts';

interface CheckOptions extends GlobalOptions {
  readonly reference?: string;
  readonly current?: string;
  readonly failOn: string;
  readonly measure: MonitorSpec['drift']['features'];
  readonly atLeast?: string;
  readonly minRows: string;
  readonly ignore?: string;
}

/** `hotloop monitor check`: two files, no server, for a pipeline's test step. */
export function addMonitorCheck(monitor: Command, context: CommandContext): void {
  monitor
    .command('check')
    .description('compare two files, without a server; exit code 1 where it fails')
    .option('--reference <file>', 'what is normal: .csv, .tsv, .jsonl or .parquet')
    .option('--current <file>', 'what is judged')
    .option('--fail-on <signals>', 'drift, missing, schema …, separated by commas; any; none', 'drift,schema')
    .option('--measure <name>', 'psi, jensen_shannon or wasserstein', 'psi')
    .option('--at-least <effect>', 'the smallest drift that counts')
    .option('--min-rows <rows>', 'fewer rows are not judged', '200')
    .option('--ignore <columns>', 'columns that are not compared, separated by commas')
    .addHelpText(
      'after',
      '\nExample:\n  hotloop monitor check --reference train.parquet --current today.csv --fail-on drift',
    )
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<CheckOptions>();
      const { reference, current } = options;
      if (reference === undefined || current === undefined)
        throw new CommandError('say --reference FILE and --current FILE');
      const failOn = kindsOf(options.failOn);
      const spec = monitorSchema.safeParse({
        drift: {
          features: options.measure,
          min_rows: numberOf('--min-rows', options.minRows),
          ...(options.atLeast === undefined ? {} : { at_least: numberOf('--at-least', options.atLeast) }),
        },
      });
      if (!spec.success)
        throw new CommandError(
          spec.error.issues
            .map(({ path, message }) => `${path.map(String).join('.')}: ${message}`)
            .join('; '),
        );
      await using database = await openDuckDb();
      const ignored = new Set((options.ignore ?? '').split(',').map((name) => name.trim()));
      const [before, now] = [
        without(await readTable(database, reference), ignored),
        without(await readTable(database, current), ignored),
      ];
      const result = checkTables(before, now, spec.data);
      const failures = result.signals.filter(({ kind }) => failOn.has(kind));
      present(context, options, { ok: failures.length === 0, ...result }, () =>
        describe(result, failures.length),
      );
      if (failures.length > 0) context.fail?.(1);
    });
}

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value))
    throw new CommandError(`${option}: ${JSON.stringify(text)} is not a number`);
  return value;
}

function without<T extends { readonly columns: ReadonlyMap<string, unknown> }>(
  table: T,
  ignored: ReadonlySet<string>,
): T {
  return { ...table, columns: new Map([...table.columns].filter(([name]) => !ignored.has(name))) };
}

/** `drift` stands for drift of any kind. */
function kindsOf(text: string): ReadonlySet<string> {
  const known: ReadonlySet<string> = new Set(SIGNAL_KINDS);
  if (text === 'none') return new Set();
  if (text === 'any') return known;
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined)
    throw new CommandError(`--fail-on ${unknown}: the signals are ${[...known].join(', ')}, any, none`);
  return new Set([...names, ...(names.includes('drift') ? ['domain_drift'] : [])]);
}

function describe(result: CheckResult, failures: number): string {
  const notJudged = new Set(result.notJudged.map(({ feature }) => feature));
  const judged = result.features.filter(({ name }) => !notJudged.has(name)).length;
  const lines = result.features.map(({ name, drift, missingBefore, missingNow }) => {
    const effect = drift.effect.toFixed(3).padStart(9);
    const missing = `${(missingBefore * 100).toFixed(1)} -> ${(missingNow * 100).toFixed(1)} %`.padStart(18);
    const mark = drift.effect >= result.threshold && !notJudged.has(name) ? '  drifted' : '';
    return `  ${name.slice(0, 40).padEnd(42)}${effect}${missing}${mark}`;
  });
  return [
    `${result.referenceRows} rows in the reference, ${result.currentRows} now; ${result.measure} from ${result.threshold} on`,
    `  ${'column'.padEnd(42)}${result.measure.slice(0, 9).padStart(9)}${'missing'.padStart(18)}`,
    ...lines,
    ...(result.domain ? [domainLine(result.domain)] : []),
    ...notJudgedLines(result.notJudged).map((line) => `  not judged: ${line}`),
    ...result.signals.map(({ severity, kind, message }) => `${severity} ${kind}: ${message}`),
    failures > 0 ? `failed: ${failures} signals` : judged === 0 ? 'no column was judged' : 'ok',
  ].join('\n');
}

/** Below that a classifier guesses, and what it goes by is chance. */
const LEAST_AUC = 0.55;

function domainLine({ auc, features }: NonNullable<CheckResult['domain']>): string {
  if (auc < LEAST_AUC) return `  the files cannot be told apart (AUC ${auc.toFixed(2)})`;
  const reasons = features.slice(0, 3).map(({ name, share }) => `${name} ${(share * 100).toFixed(0)} %`);
  return `  told apart with an AUC of ${auc.toFixed(2)}, by ${reasons.join(', ')}`;
}
