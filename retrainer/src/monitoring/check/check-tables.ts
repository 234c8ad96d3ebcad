import { FEATURE_STATUS } from '@hotloop/model/features/feature-status.ts';
import type { MonitorSpec } from '@hotloop/model/manifest/monitor-schema.ts';
import { domainDifference } from '@hotloop/model/statistics/domain-classifier.ts';
import { domainSignal } from '../signals/domain.ts';
import { DRIFT_DEFAULTS, measureDrift } from '../signals/drift.ts';
import { judgeFeatures, percent, summaryOf } from '../signals/judge-features.ts';
import type { NotJudged, Signal } from '../signals/signal.ts';
import { FeatureSketch, type FeatureSketches, type SketchedFeature } from '../sketches/feature-sketch.ts';

/** A column in memory: numbers with NaN where missing, or texts with null where missing. */
export type Column =
  | { readonly kind: 'number'; readonly values: Float64Array }
  | { readonly kind: 'text'; readonly values: readonly (string | null)[] };

export interface Table {
  readonly rows: number;
  readonly columns: ReadonlyMap<string, Column>;
}

export interface CheckedFeature {
  readonly name: string;
  readonly kind: 'number' | 'category';
  readonly missingBefore: number;
  readonly missingNow: number;
  readonly before: string;
  readonly now: string;
  readonly drift: {
    readonly effect: number;
    readonly low: number;
    readonly high: number;
    readonly p: number;
  };
}

export interface CheckResult {
  readonly referenceRows: number;
  readonly currentRows: number;
  readonly measure: string;
  readonly threshold: number;
  readonly features: readonly CheckedFeature[];
  /** AUC of a classifier that separates the rows of the two files, with its most important columns; null if unknown. */
  readonly domain: {
    readonly auc: number;
    readonly features: readonly { readonly name: string; readonly share: number }[];
  } | null;
  readonly duplicates: { readonly before: number; readonly now: number };
  readonly signals: readonly Signal[];
  readonly notJudged: readonly NotJudged[];
}

/** Number of categories counted by name; rarer ones count as `other`. */
const CATEGORIES = 100;
const DOMAIN_ROWS = 4_000;
/** An increase of the share of repeated rows that raises an alarm. */
const DUPLICATE_GAP = 0.05;

/** Compares two tables as the monitor compares a day with training. Pure. */
export function checkTables(reference: Table, current: Table, monitor: MonitorSpec): CheckResult {
  const signals: Signal[] = [...schemaSignals(reference, current)];
  const shared = [...reference.columns].flatMap(([name, before]) => {
    const now = current.columns.get(name);
    return now && now.kind === before.kind ? [{ name, before, now }] : [];
  });
  const layout: SketchedFeature[] = [];
  const [past, present]: [FeatureSketches, FeatureSketches] = [new Map(), new Map()];
  for (const { name, before, now } of shared) {
    const categories = before.kind === 'text' ? commonest(before.values) : [];
    layout.push({
      ...{ name, offset: 0, width: 1, categories, source: `column ${name}` },
      kind: before.kind === 'text' ? 'category' : 'number',
    });
    past.set(name, sketchOf(before, categories));
    present.set(name, sketchOf(now, categories));
  }
  const judged = judgeFeatures({
    layout: { width: layout.length, features: layout, inputs: [], isMatrix: true },
    ...{ current: present, baseline: past, monitor },
    ...{ maxMissing: new Map(), against: 'the reference' },
  });
  signals.push(...judged.signals);
  const domain = domainOf(shared);
  const different = domain && domainSignal(domain.difference, domain.names, 'the reference');
  if (different) signals.push(different);
  const duplicates = { before: duplicateShare(reference), now: duplicateShare(current) };
  if (duplicates.now - duplicates.before >= DUPLICATE_GAP)
    signals.push(duplicateSignal(duplicates, current.rows));
  const measure = monitor.drift.features;
  return {
    ...{ referenceRows: reference.rows, currentRows: current.rows, measure },
    threshold: monitor.drift.at_least ?? DRIFT_DEFAULTS[measure],
    features: layout.map((feature) => {
      const [before, now] = [past.get(feature.name)!, present.get(feature.name)!];
      const { effect, low, high, p } = measureDrift(before, now, measure);
      return {
        ...{ name: feature.name, kind: feature.kind === 'category' ? 'category' : 'number' },
        ...{ missingBefore: before.missingShare, missingNow: now.missingShare },
        ...{ before: summaryOf(feature, before), now: summaryOf(feature, now) },
        drift: { effect, low, high, p },
      };
    }),
    domain: domain && {
      auc: domain.difference.auc,
      features: domain.difference.columns
        .slice(0, 5)
        .map(({ column, share }) => ({ name: domain.names[column]!, share })),
    },
    ...{ duplicates, signals, notJudged: judged.notJudged },
  };
}

function schemaSignals(reference: Table, current: Table): Signal[] {
  const found: { readonly name: string; readonly message: string; readonly severe: boolean }[] = [];
  for (const [name, { kind }] of reference.columns) {
    const now = current.columns.get(name);
    if (!now) found.push({ name, message: `the column ${name} is gone`, severe: true });
    else if (now.kind !== kind)
      found.push({ name, message: `${name} held ${kind}s and holds ${now.kind}s now`, severe: true });
  }
  for (const name of current.columns.keys())
    if (!reference.columns.has(name))
      found.push({ name, message: `the column ${name} is new`, severe: false });
  return found.map(({ name, message, severe }) => ({
    ...{
      kind: 'schema',
      feature: name,
      source: `column ${name}`,
      effect: 1,
      low: 1,
      high: 1,
      unit: 'columns',
    },
    ...{ threshold: 1, p: null, n: current.rows, severity: severe ? 'critical' : 'warning', message },
  }));
}

function duplicateSignal({ before, now }: CheckResult['duplicates'], n: number): Signal {
  return {
    ...{ kind: 'duplicates', feature: null, source: 'rows', effect: now, low: now, high: now, unit: 'share' },
    ...{ threshold: before + DUPLICATE_GAP, p: null, n, severity: 'warning' },
    message: `${percent(now)} of the rows are repeats; ${percent(before)} in the reference`,
  };
}

/** The most frequent texts, the most frequent first. */
function commonest(values: readonly (string | null)[]): string[] {
  const counts = new Map<string, number>();
  for (const value of values) if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .slice(0, CATEGORIES)
    .map(([name]) => name);
}

function sketchOf(column: Column, categories: readonly string[]): FeatureSketch {
  const sketch = new FeatureSketch(column.kind === 'text' ? 'category' : 'number', categories.length);
  sketch.rows = column.values.length;
  let missing = 0;
  if (column.kind === 'number') {
    const there = column.values.filter((value) => !Number.isNaN(value));
    missing = column.values.length - there.length;
    sketch.values.addColumn(Float32Array.from(there));
  } else {
    const indices = new Map(categories.map((name, index) => [name, index]));
    for (const value of column.values)
      if (value === null) missing++;
      else sketch.categories[indices.get(value) ?? categories.length]!++;
  }
  sketch.statuses[FEATURE_STATUS.MISSING] = missing;
  sketch.statuses[FEATURE_STATUS.FRESH] = sketch.rows - missing;
  return sketch;
}

/** Numbers unchanged (missing: the mean of the reference), texts as 1 for the most frequent text and 0 for others. */
function domainOf(shared: readonly { name: string; before: Column; now: Column }[]) {
  const width = shared.length;
  if (width === 0) return null;
  const matrix = (pick: 'before' | 'now') => {
    const rows = shared[0]![pick].values.length;
    const step = Math.max(1, rows / DOMAIN_ROWS);
    const count = Math.min(rows, DOMAIN_ROWS);
    const values = new Float64Array(count * width);
    for (const [column, one] of shared.entries()) {
      const own = one[pick];
      const fill = one.before.kind === 'number' ? meanOf(one.before.values) : 0;
      const first = one.before.kind === 'text' ? commonest(one.before.values)[0] : undefined;
      for (let row = 0; row < count; row++) {
        const at = Math.floor(row * step);
        const value = own.kind === 'number' ? own.values[at]! : own.values[at] === first ? 1 : 0;
        values[row * width + column] = Number.isFinite(value) ? value : fill;
      }
    }
    return values;
  };
  const difference = domainDifference(matrix('before'), matrix('now'), width);
  return difference && { difference, names: shared.map(({ name }) => name) };
}

function meanOf(values: Float64Array): number {
  let [sum, count] = [0, 0];
  for (const value of values)
    if (Number.isFinite(value)) {
      sum += value;
      count++;
    }
  return count === 0 ? 0 : sum / count;
}

function duplicateShare({ rows, columns }: Table): number {
  if (rows === 0) return 0;
  const seen = new Set<string>();
  const all = [...columns.values()];
  for (let row = 0; row < rows; row++)
    seen.add(
      JSON.stringify(
        all
          .map(({ values }) => values[row] ?? null)
          .map((value) => (Object.is(value, Number.NaN) ? null : value)),
      ),
    );
  return 1 - seen.size / rows;
}
