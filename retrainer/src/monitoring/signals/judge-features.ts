import { FEATURE_STATUS } from '@hotloop/model/features/feature-status.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { MonitorRule, MonitorSpec, SignalKind } from '@hotloop/model/manifest/monitor-schema.ts';
import { adjustedForFalseDiscoveries } from '@hotloop/model/statistics/benjamini-hochberg.ts';
import { sharesDiffer, wilsonInterval } from '@hotloop/model/statistics/distributions.ts';
import type {
  FeatureSketch,
  FeatureSketches,
  SketchedFeature,
  SketchLayout,
} from '../sketches/feature-sketch.ts';
import { DRIFT_DEFAULTS, measureDrift } from './drift.ts';
import type { NotJudged, Severity, Signal } from './signal.ts';

export interface FeatureJudgement {
  readonly signals: readonly Signal[];
  readonly notJudged: readonly NotJudged[];
}

export interface JudgedWindow {
  readonly layout: SketchLayout;
  readonly current: FeatureSketches;
  /** From training or the first week. Features that are absent from it, or have too few rows, are reported as not judged. */
  readonly baseline: FeatureSketches;
  readonly monitor: MonitorSpec;
  /** Limits declared by `quality.max_missing`, by feature. */
  readonly maxMissing: ReadonlyMap<string, number>;
  /** Name of the baseline in messages: "training", "last week". */
  readonly against: string;
  /** The window is a few minutes instead of a day: then only breakage is judged, because the mix of values changes with the hour. */
  readonly recent?: boolean;
}

/** The share `quality.max_missing` by feature, if declared. */
export function declaredMissing(manifest: Manifest): ReadonlyMap<string, number> {
  const declared = new Map<string, number>();
  for (const feature of manifest.features) {
    const { quality } = feature as { quality?: { max_missing?: number } };
    if (quality?.max_missing !== undefined) declared.set(feature.name, quality.max_missing);
  }
  return declared;
}

/** Minimum number of rows of a baseline. */
const BASELINE_ROWS = 200;
/** Breakage is judged every few seconds, so its tests must be much stricter than the daily ones. */
const RECENT_P = 1e-9;
const RECENT_GAP = 0.1;

/** Missing, stale, new categories, range, constant. */
const OTHER_TESTS = 5;

interface Candidate {
  readonly signal: Omit<Signal, 'p'>;
  readonly p: number;
}

/** All signals of a window's features against one baseline. Pure. */
export function judgeFeatures(window: JudgedWindow): FeatureJudgement {
  const { layout, current, baseline, monitor, recent = false } = window;
  const notJudged: NotJudged[] = [];
  const drifts: Candidate[] = [];
  const others: Candidate[] = [];
  for (const feature of layout.features) {
    const now = current.get(feature.name);
    const past = baseline.get(feature.name);
    const reason = reasonNotToJudge(now, past, window);
    if (reason !== null) {
      notJudged.push({ feature: feature.name, reason });
      continue;
    }
    const pair = { feature, now: now!, past: past!, window };
    others.push(...[missingOf(pair), staleOf(pair), newCategoryOf(pair), rangeOf(pair)].filter(isThere));
    if (recent) continue;
    others.push(...[constantOf(pair)].filter(isThere));
    drifts.push(...[driftOf(pair)].filter(isThere));
  }
  const rate = recent ? RECENT_P : monitor.drift.false_alarms;
  const tested = layout.features.length - notJudged.length;
  return {
    signals: [
      ...passing(drifts, tested, rate, monitor),
      ...passing(others, tested * OTHER_TESTS, rate, monitor),
    ],
    notJudged,
  };
}

const isThere = <T>(value: T | null): value is T => value !== null;

/** Signals that are statistically significant over all features and as large as the rule requires. */
function passing(
  candidates: readonly Candidate[],
  tested: number,
  rate: number,
  monitor: MonitorSpec,
): Signal[] {
  // Tests without a finding count too, because the correction depends on the number of all tests.
  const silent = Array.from({ length: Math.max(0, tested - candidates.length) }, () => 1);
  const adjusted = adjustedForFalseDiscoveries([...candidates.map(({ p }) => p), ...silent]);
  return candidates.flatMap(({ signal }, index) => {
    const rule = ruleFor(monitor, signal.kind, signal.feature);
    if (rule?.off) return [];
    const threshold = rule?.at_least ?? signal.threshold;
    const p = adjusted[index]!;
    if (p > rate || signal.effect < threshold) return [];
    return [{ ...signal, p, threshold, severity: rule?.severity ?? signal.severity }];
  });
}

/** The rule for this feature, or the one for all features. */
export function ruleFor(
  monitor: MonitorSpec,
  kind: SignalKind,
  feature: string | null,
): MonitorRule | undefined {
  const rules = monitor.rules.filter((rule) => rule.signal === kind);
  return (
    rules.find((rule) => rule.feature === feature && feature !== null) ??
    rules.find((rule) => rule.feature === undefined)
  );
}

interface Pair {
  readonly feature: SketchedFeature;
  readonly now: FeatureSketch;
  readonly past: FeatureSketch;
  readonly window: JudgedWindow;
}

function reasonNotToJudge(
  now: FeatureSketch | undefined,
  past: FeatureSketch | undefined,
  { monitor, against, recent }: JudgedWindow,
): string | null {
  const least = recent ? 50 : monitor.drift.min_rows;
  if (!now || now.rows === 0) return 'no rows in the window';
  if (now.rows < least) return `${now.rows} rows in the window; ${least} are needed`;
  if (!past) return `${against} holds no values of it`;
  if (past.rows < BASELINE_ROWS) return `${against} holds ${past.rows} rows; ${BASELINE_ROWS} are needed`;
  return null;
}

function driftOf({ feature, now, past, window }: Pair): Candidate | null {
  if (now.present < window.monitor.drift.min_rows || past.present < BASELINE_ROWS) return null;
  const measure = window.monitor.drift.features;
  const threshold = window.monitor.drift.at_least ?? DRIFT_DEFAULTS[measure];
  const drift = measureDrift(past, now, measure);
  const severity: Severity = drift.effect >= 3 * threshold ? 'critical' : 'warning';
  return {
    p: drift.p,
    signal: {
      kind: 'drift',
      ...aboutOf(feature),
      ...{ effect: drift.effect, low: drift.low, high: drift.high, unit: measure, threshold },
      ...{ n: now.present, severity },
      message: `${feature.name} is not distributed as in ${window.against}: ${summaryOf(feature, past)} before, ${summaryOf(feature, now)} now`,
    },
  };
}

function missingOf({ feature, now, past, window }: Pair): Candidate | null {
  const declared = window.maxMissing.get(feature.name);
  const allowed = declared ?? past.missingShare + window.monitor.missing.tolerance;
  const gap = now.missingShare - allowed;
  if (gap <= 0 || (window.recent && now.missingShare - past.missingShare < RECENT_GAP)) return null;
  const { low, high } = wilsonInterval(now.missing, now.rows);
  const table = /^reference\.(.+)$/.exec(feature.source)?.[1];
  const finds = table === undefined ? '' : `the join with table ${table} finds nothing: `;
  // With a declared limit, the baseline is the limit, which is known exactly.
  const p =
    declared === undefined
      ? sharesDiffer(now.missing, now.rows, past.missing, past.rows)
      : sharesDiffer(now.missing, now.rows, Math.round(declared * 1e6), 1e6);
  return {
    p,
    signal: {
      kind: table === undefined ? 'missing' : 'join',
      ...aboutOf(feature),
      ...{ effect: now.missingShare, low, high, unit: 'share', threshold: allowed, n: now.rows },
      severity: now.missingShare > 0.5 ? 'critical' : 'warning',
      message: `${finds}${feature.name} is missing in ${percent(now.missingShare)} of rows; ${declared === undefined ? `${percent(past.missingShare)} in ${window.against}` : `${percent(declared)} is declared as the most`}`,
    },
  };
}

/** Values that are present but older than the feature's `max_age`. */
function staleOf({ feature, now, past, window }: Pair): Candidate | null {
  const [stale, before] = [now.statuses[FEATURE_STATUS.STALE]!, past.statuses[FEATURE_STATUS.STALE]!];
  const [share, shareBefore] = [stale / now.rows, before / past.rows];
  if (share - shareBefore < Math.max(window.monitor.missing.tolerance, window.recent ? RECENT_GAP : 0))
    return null;
  const { low, high } = wilsonInterval(stale, now.rows);
  return {
    p: sharesDiffer(stale, now.rows, before, past.rows),
    signal: {
      kind: 'stale',
      ...aboutOf(feature),
      ...{ effect: share, low, high, unit: 'share', threshold: window.monitor.missing.tolerance },
      ...{ n: now.rows, severity: share > 0.5 ? 'critical' : 'warning' },
      message: `${percent(share)} of the values of ${feature.name} are older than its max_age; ${percent(shareBefore)} in ${window.against}`,
    },
  };
}

function newCategoryOf({ feature, now, past, window }: Pair): Candidate | null {
  if (feature.kind !== 'category') return null;
  const [other, before] = [now.categories.at(-1) ?? 0, past.categories.at(-1) ?? 0];
  const share = other / Math.max(1, now.present);
  const shareBefore = before / Math.max(1, past.present);
  if (share - shareBefore < (window.recent ? RECENT_GAP : 0.01)) return null;
  const { low, high } = wilsonInterval(other, now.present);
  return {
    p: sharesDiffer(other, now.present, before, past.present),
    signal: {
      kind: 'new_category',
      ...aboutOf(feature),
      ...{ effect: share, low, high, unit: 'share', threshold: 0.01, n: now.present },
      severity: share > 0.2 ? 'critical' : 'warning',
      message: `${percent(share)} of the values of ${feature.name} are none of its ${feature.categories.length} categories; ${percent(shareBefore)} in ${window.against}`,
    },
  };
}

/** Values outside the manifest's range, and numbers outside the range of the baseline. */
function rangeOf({ feature, now, past, window }: Pair): Candidate | null {
  let outside = now.outOfRange;
  let before = past.outOfRange;
  if (feature.kind === 'number' && !feature.isText && past.values.count > 0) {
    const width = past.values.max - past.values.min || Math.abs(past.values.max) || 1;
    const [low, high] = [past.values.min - width / 2, past.values.max + width / 2];
    for (const [bin, count] of now.values.sortedBins()) {
      const value = numberOf(bin);
      if (value < low || value > high) outside += count;
    }
  } else before = Math.max(0, before);
  const share = outside / Math.max(1, now.present);
  const least = window.recent ? RECENT_GAP : 0.01;
  if (share - before / Math.max(1, past.present) < least) return null;
  const interval = wilsonInterval(outside, now.present);
  return {
    p: sharesDiffer(outside, now.present, before, past.present),
    signal: {
      kind: 'out_of_range',
      ...aboutOf(feature),
      ...{ effect: share, low: interval.low, high: interval.high, unit: 'share', threshold: least },
      n: now.present,
      severity: share > 0.2 ? 'critical' : 'warning',
      message: `${percent(share)} of the values of ${feature.name} lie outside its range: ${summaryOf(feature, past)} before, ${summaryOf(feature, now)} now`,
    },
  };
}

const FLOAT = new Float32Array(1);
const FLOAT_BITS = new Uint32Array(FLOAT.buffer);
function numberOf(bin: number): number {
  FLOAT_BITS[0] = (bin << 16) >>> 0;
  return FLOAT[0]!;
}

function constantOf({ feature, now, past }: Pair): Candidate | null {
  if (feature.kind !== 'number' || now.values.count < BASELINE_ROWS) return null;
  if (now.values.min !== now.values.max || past.values.min === past.values.max) return null;
  // The probability that so many rows all have the baseline's most frequent value.
  let most = 0;
  for (const count of past.values.bins.values()) most = Math.max(most, count);
  const p = (most / Math.max(1, past.values.count)) ** now.values.count;
  return {
    p,
    signal: {
      kind: 'constant',
      ...aboutOf(feature),
      ...{ effect: 1, low: 1, high: 1, unit: 'share', threshold: 1, n: now.values.count },
      severity: 'warning',
      message: `${feature.name} is ${feature.isText ? 'one text' : short(now.values.min)} in every row; before it took about ${Math.round(past.values.distinct.estimate())} values`,
    },
  };
}

const aboutOf = ({ name, source }: SketchedFeature) => ({ feature: name, source });

/** Median and spread of a number, or the most frequent categories. */
export function summaryOf(feature: SketchedFeature, sketch: FeatureSketch): string {
  if (feature.isText) return `${Math.round(sketch.values.distinct.estimate())} different texts`;
  if (feature.kind === 'number') {
    const at = (q: number) => short(sketch.values.quantile(q));
    return sketch.values.count === 0 ? 'no values' : `median ${at(0.5)} (${at(0.05)} to ${at(0.95)})`;
  }
  if (feature.kind === 'wide') return `${Math.round(sketch.categories.reduce((a, b) => a + b, 0))} tokens`;
  const total = sketch.categories.reduce((sum, count) => sum + count, 0) || 1;
  return [...sketch.categories]
    .map((count, index) => ({ name: feature.categories[index] ?? 'other', share: count / total }))
    .sort((a, b) => b.share - a.share)
    .slice(0, 3)
    .map(({ name, share }) => `${name} ${percent(share)}`)
    .join(', ');
}

export const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
export const short = (value: number): string => String(Number(value.toPrecision(4)));
