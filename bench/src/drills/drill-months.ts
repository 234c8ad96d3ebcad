import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { monitorSchema } from '@hotloop/model/manifest/monitor-schema.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import {
  type CheckResult,
  type Column,
  checkTables,
  type Table,
} from '@hotloop/retrainer/monitoring/check/check-tables.ts';
import type { Quality } from '@hotloop/retrainer/monitoring/performance/quality.ts';
import { driftMap, qualityChart } from '@hotloop/retrainer/monitoring/report/charts.ts';
import { percent } from '@hotloop/retrainer/monitoring/signals/judge-features.ts';
import { figure } from '../figure.ts';
import type { Drill } from './drill.ts';
import { estimateError, MONTHS, readSessions, sessionsByMonth } from './monitoring/estimate-error.ts';

const SESSIONS = 'online_shoppers_intention.csv';
/** The model is trained on the first months; the other months are compared with their features. */
const LEARNED = 3;
const PSI = 0.1;

/**
 * The real sessions month by month as the monitor sees them: drift of every feature relative to the training data,
 * the AUC by labels, and the AUC estimated before the labels. `--pictures FOLDER` writes the charts of
 * docs/monitoring.md.
 */
export const drillMonths: Drill = async ({ say, data, pictures }) => {
  if (data === undefined) throw new Error('--data names the folder with online_shoppers_intention.csv');
  const text = await readSessions(join(data, SESSIONS));
  const quality = sessionsByMonth(text);
  const tables = tablesByMonth(text);
  const monitor = monitorSchema.parse({ drift: { features: 'psi' } });
  const reference = joined(tables.slice(0, LEARNED));
  const checks = MONTHS.slice(LEARNED).map((month, at) => ({
    month,
    check: checkTables(reference, tables[LEARNED + at]!, monitor),
    quality: quality.find((one) => one.at === LEARNED + at) ?? null,
  }));
  for (const line of markdown(checks)) say(line);
  if (pictures !== undefined) {
    await mkdir(pictures, { recursive: true });
    await writeFile(join(pictures, 'monitoring-months-quality.svg'), qualityPicture(quality));
    await writeFile(
      join(pictures, 'monitoring-months-drift.svg'),
      driftPicture(checks.map(({ check }) => check)),
    );
    say(`the charts are in ${pictures}`);
  }
  const { mean, given, months } = estimateError(quality);
  say(`an estimate is given in ${given} of ${months} months`);
  return [figure('estimate_error', [mean], { atMost: 0.02 })];
};

interface Month {
  readonly month: string;
  readonly check: CheckResult;
  readonly quality: Quality | null;
}

function markdown(months: readonly Month[]): string[] {
  const value = (one: Quality['measured']) =>
    one ? `${one.value.toFixed(3)} (${one.low.toFixed(2)} to ${one.high.toFixed(2)})` : 'none';
  return [
    '| month | sessions | AUC by labels | estimated before | drifted features | told apart from training |',
    '|---|---|---|---|---|---|',
    ...months.map(({ month, check, quality }) => {
      const drifted = check.signals.filter(({ kind }) => kind === 'drift').map(({ feature }) => feature);
      const named = drifted.slice(0, 4).join(', ');
      const more = drifted.length > 4 ? ` and ${drifted.length - 4} more` : '';
      const apart = check.domain
        ? `AUC ${check.domain.auc.toFixed(2)}, by ${check.domain.features[0]?.name ?? ''} ${percent(check.domain.features[0]?.share ?? 0)}`
        : 'not judged';
      return `| ${month} | ${check.currentRows} | ${value(quality?.measured ?? null)} | ${value(quality?.estimated ?? null)} | ${drifted.length === 0 ? 'none' : named + more} | ${apart} |`;
    }),
  ];
}

/** Position of a month on the axis, in days, so that there is room for its name. */
function qualityPicture(quality: readonly Quality[]): string {
  const placed = quality.map((one) => ({ ...one, at: one.at * DAY_MS }));
  return qualityChart(
    placed,
    [],
    quality.map(({ at }) => [at * DAY_MS, MONTHS[at]!] as const),
  );
}

function driftPicture(checks: readonly CheckResult[]): string {
  const names = checks[0]!.features.map(({ name }) => name);
  const rows = names.map((name) => ({
    name,
    effects: checks.map(
      ({ features }) => features.find((feature) => feature.name === name)?.drift.effect ?? null,
    ),
  }));
  const sorted = rows.toSorted(
    (a, b) => Math.max(...b.effects.map((e) => e ?? 0)) - Math.max(...a.effects.map((e) => e ?? 0)),
  );
  return driftMap(sorted, MONTHS.slice(LEARNED), PSI);
}

const NUMBERS = 10;
/** Codes of systems, browsers, regions and types of traffic are categories; the month itself is not compared. */
const LEFT_OUT = new Set(['Month']);

function tablesByMonth(text: string): Table[] {
  const [head, ...lines] = text.trim().split(/\r?\n/);
  const names = head!.split(',');
  const cells = lines.map((line) => line.split(','));
  const month = names.indexOf('Month');
  return MONTHS.map((name) => {
    const own = cells.filter((row) => row[month] === name);
    const columns = new Map<string, Column>();
    for (const [at, column] of names.entries())
      if (!LEFT_OUT.has(column))
        columns.set(
          column,
          at < NUMBERS
            ? { kind: 'number', values: Float64Array.from(own, (row) => Number(row[at])) }
            : { kind: 'text', values: own.map((row) => row[at]!) },
        );
    return { rows: own.length, columns };
  });
}

function joined(tables: readonly Table[]): Table {
  const columns = new Map<string, Column>();
  for (const [name, { kind }] of tables[0]!.columns) {
    const parts = tables.map((table) => table.columns.get(name)!);
    columns.set(
      name,
      kind === 'number'
        ? { kind, values: Float64Array.from(parts.flatMap((part) => [...(part.values as Float64Array)])) }
        : { kind, values: parts.flatMap((part) => [...(part.values as readonly string[])]) },
    );
  }
  return { rows: tables.reduce((sum, { rows }) => sum + rows, 0), columns };
}
