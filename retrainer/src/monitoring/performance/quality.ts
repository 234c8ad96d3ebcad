import type { Task } from '@hotloop/model/manifest/manifest.ts';
import { aucStandardError, weightedRocAuc } from '@hotloop/model/statistics/area-under-curve.ts';
import { fitPlatt, logLoss, plattProbability } from '@hotloop/model/statistics/calibration.ts';
import {
  type Estimate,
  estimateClassMetric,
  estimateSquaredLoss,
} from '@hotloop/model/statistics/estimated-performance.ts';
import type { ScoredRow } from './scored-rows.ts';

export type QualityMetric = 'auc' | 'accuracy' | 'rmse';

/** Quality of one version in one span of time. */
export interface Quality {
  readonly version: number;
  /** Milliseconds since 1970 of the start. */
  readonly at: number;
  readonly metric: QualityMetric;
  /** Such as `country = IT`; absent: all rows. */
  readonly slice?: string;
  readonly rows: number;
  /** Rows whose label is known: the matured share is labelled / rows. */
  readonly labelled: number;
  readonly measured: Estimate | null;
  readonly estimated: Estimate | null;
}

/** The metric that monitoring follows, by task; null where none applies. */
export function qualityMetric(task: Task): QualityMetric | null {
  switch (task) {
    case 'binary':
    case 'ranking':
      return 'auc';
    case 'multiclass':
      return 'accuracy';
    case 'regression':
      return 'rmse';
    case 'multilabel':
    case 'tensor':
      return null;
  }
}

/** Labels that a calibration needs: of both classes, or of numbers. */
const CALIBRATION_LABELS = 200;
const CALIBRATION_POSITIVES = 20;
/** Labels of a calibration that follows change, and of one that does not waver. */
const FRESH_LABELS = 100;
const MANY_LABELS = 5_000;
const ESTIMATED_ROWS = 50;
const DAY_MS = 86_400_000;
const Z = 1.959963984540054;

/** The metric of labelled rows with its 95 % interval; null where it is not defined. */
export function measureQuality(metric: QualityMetric, rows: readonly ScoredRow[]): Estimate | null {
  const known = rows.filter((row): row is ScoredRow & { label: number } => row.label !== null);
  const n = known.length;
  if (n < 2) return null;
  if (metric === 'auc') {
    const positive = known.map(({ label }) => (label > 0.5 ? 1 : 0));
    const positives = positive.filter((one) => one === 1).length;
    const value = weightedRocAuc(
      known.map(({ score }) => score),
      positive,
      positive.map((one) => 1 - one),
    );
    const error = aucStandardError(value, positives, n - positives);
    return Number.isNaN(value) || Number.isNaN(error) ? null : interval(value, error, n);
  }
  if (metric === 'accuracy') {
    const right = known.filter(({ score, label }) => score === label).length / n;
    return interval(right, Math.sqrt((right * (1 - right)) / n), n);
  }
  const losses = known.map(({ score, label }) => (score - label) ** 2);
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / n;
  const variance = losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0) / (n - 1);
  const value = Math.sqrt(mean);
  return interval(value, value === 0 ? 0 : Math.sqrt(variance / n) / (2 * value), n);
}

/**
 * The metric expected of rows without their labels (CBPE, DLE), from what earlier rows with labels teach. Null where too few
 * labels are known, or the task has no estimator (accuracy of classes).
 */
export function estimateQuality(
  metric: QualityMetric,
  rows: readonly ScoredRow[],
  earlier: readonly ScoredRow[],
  errorOfEstimator = 0,
): Estimate | null {
  const known = earlier.filter((row): row is ScoredRow & { label: number } => row.label !== null);
  if (known.length < CALIBRATION_LABELS || rows.length < ESTIMATED_ROWS) return null;
  const labels = known.map(({ label }) => label);
  const scores = rows.map(({ score }) => score);
  if (metric === 'rmse') {
    const reference = { predictions: known.map(({ score }) => score), labels };
    const squared = estimateSquaredLoss(reference, scores);
    const root = (value: number) => Math.sqrt(Math.max(0, value));
    return { ...squared, value: root(squared.value), low: root(squared.low), high: root(squared.high) };
  }
  if (metric === 'accuracy') return null;
  const positives = labels.filter((label) => label > 0.5).length;
  if (Math.min(positives, labels.length - positives) < CALIBRATION_POSITIVES) return null;
  const platt = fitPlatt(
    known.map(({ score }) => score),
    labels,
  );
  const probabilities = scores.map((score) => plattProbability(platt, score));
  const estimate = estimateClassMetric('auc', scores, probabilities, { errorOfEstimator });
  return Number.isNaN(estimate.value) ? null : estimate;
}

/**
 * Quality by span and version. Each day is estimated from the labels of the days before it, and a longer span from its days
 * together; so an estimate follows a relation that changes, a day behind it. Pure.
 */
export function qualityOverTime(
  metric: QualityMetric,
  rows: readonly ScoredRow[],
  startOf: (at: number) => number,
): Quality[] {
  const expected = metric === 'auc' ? expectedLabels(rows) : new Map<ScoredRow, number>();
  const spans = Map.groupBy(rows, ({ at, version }) => `${String(startOf(at)).padStart(16)} ${version}`);
  const found: Quality[] = [];
  const gaps: number[] = [];
  for (const [, own] of [...spans].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { at, version } = own[0]!;
    const start = startOf(at);
    const error = gaps.length < 3 ? 0 : Math.sqrt(gaps.reduce((sum, gap) => sum + gap ** 2, 0) / gaps.length);
    const measured = measureQuality(metric, own);
    const estimated =
      metric === 'auc'
        ? estimateOf(own, expected, error)
        : estimateQuality(
            metric,
            own,
            rows.filter((row) => row.at < start && row.version === version),
            error,
          );
    // The estimator's own error: beyond what the sampling of the labels explains.
    if (measured && estimated) {
      const noise = (measured.high - measured.low) / (2 * Z);
      gaps.push(Math.sqrt(Math.max(0, (estimated.value - measured.value) ** 2 - noise ** 2)));
    }
    const labelled = own.filter(({ label }) => label !== null).length;
    found.push({ version, at: start, metric, rows: own.length, labelled, measured, estimated });
  }
  return found;
}

/** Null unless most rows have an expected label. */
function estimateOf(
  rows: readonly ScoredRow[],
  expected: ReadonlyMap<ScoredRow, number>,
  errorOfEstimator: number,
): Estimate | null {
  const known = rows.filter((row) => expected.has(row));
  if (known.length < ESTIMATED_ROWS || known.length < rows.length / 2) return null;
  const estimate = estimateClassMetric(
    'auc',
    known.map(({ score }) => score),
    known.map((row) => expected.get(row)!),
    { errorOfEstimator },
  );
  return Number.isNaN(estimate.value) ? null : estimate;
}

type LabelledRow = ScoredRow & { readonly label: number };

/**
 * The probability of a positive label of each row, day by day from the labels of the days before. Two calibrations compete, one
 * of the newest labels and one of many more: each day takes the one that has foretold the labels of the last days better (log
 * loss, forgotten by a tenth a day). The few newest follow change, the many do not waver where nothing changes.
 */
function expectedLabels(rows: readonly ScoredRow[]): Map<ScoredRow, number> {
  const expected = new Map<ScoredRow, number>();
  for (const own of Map.groupBy(rows, ({ version }) => version).values()) {
    const days = Map.groupBy(own, ({ at }) => Math.floor(at / DAY_MS));
    const earlier: LabelledRow[] = [];
    const losses = [0, 0];
    for (const [, today] of [...days].sort(([a], [b]) => a - b)) {
      const fits = [newestOf(earlier, FRESH_LABELS), newestOf(earlier, MANY_LABELS)].map(
        (labels) =>
          labels &&
          fitPlatt(
            labels.map(({ score }) => score),
            labels.map(({ label }) => label),
          ),
      );
      const [fresh, many] = fits;
      const chosen = fresh && (losses[0]! <= losses[1]! ? fresh : (many ?? fresh));
      const labelled = today.filter((row): row is LabelledRow => row.label !== null);
      if (chosen) for (const row of today) expected.set(row, plattProbability(chosen, row.score));
      for (const [at, fit] of fits.entries())
        if (fit) losses[at] = losses[at]! * 0.9 + logLoss(fit, labelled);
      earlier.push(...labelled);
    }
  }
  return expected;
}

/** The newest labels, as many as asked for or as it takes to hold enough of both classes; null where there are too few. */
function newestOf(labels: readonly LabelledRow[], count: number): readonly LabelledRow[] | null {
  if (labels.length < CALIBRATION_LABELS) return null;
  let [positives, taken] = [0, 0];
  while (
    taken < labels.length &&
    (taken < count || Math.min(positives, taken - positives) < CALIBRATION_POSITIVES)
  )
    positives += labels[labels.length - 1 - taken++]!.label > 0.5 ? 1 : 0;
  return Math.min(positives, taken - positives) < CALIBRATION_POSITIVES ? null : labels.slice(-taken);
}

/** How much worse a metric is: positive is a loss, for AUC and accuracy as for errors. */
export function lossBetween(metric: QualityMetric, before: Estimate, now: Estimate): Estimate {
  const sign = metric === 'rmse' ? -1 : 1;
  const half = Math.hypot((before.high - before.low) / 2, (now.high - now.low) / 2);
  const value = sign * (before.value - now.value);
  return { value, low: value - half, high: value + half, n: now.n };
}

function interval(value: number, error: number, n: number): Estimate {
  return { value, low: value - Z * error, high: value + Z * error, n };
}
