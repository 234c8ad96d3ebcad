import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { aucStandardError, weightedRocAuc } from '@hotloop/model/statistics/area-under-curve.ts';
import { fitPlatt, plattProbability } from '@hotloop/model/statistics/calibration.ts';
import type { ClassesMetric } from '@hotloop/model/statistics/class-performance.ts';
import {
  type Estimate,
  estimateClassMetric,
  estimateSquaredLoss,
} from '@hotloop/model/statistics/estimated-performance.ts';
import { classForecast, estimateClasses, measureClasses } from './class-quality.ts';
import { foretell, labelForecast } from './foretell.ts';
import type { LabelledRow, ScoredRow } from './scored-rows.ts';

export type QualityMetric = 'auc' | 'rmse' | ClassesMetric;

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

/** The metric that monitoring follows; null if none applies. For task multilabel it covers all labels of all rows. */
export function qualityMetric({ task, training, monitor }: Manifest): QualityMetric | null {
  switch (task) {
    case 'binary':
    case 'ranking':
    case 'multilabel':
      return 'auc';
    case 'multiclass': {
      const declared = training?.gate?.metric;
      return monitor.decay.metric ?? (declared === 'log_loss' ? declared : 'accuracy');
    }
    case 'regression':
      return 'rmse';
    case 'tensor':
      return null;
  }
}

export const isBetterHigher = (metric: QualityMetric): boolean => metric !== 'rmse' && metric !== 'log_loss';

/** Number of labels that a calibration needs: of both classes, or of numbers. */
const CALIBRATION_LABELS = 200;
const CALIBRATION_POSITIVES = 20;
const ESTIMATED_ROWS = 50;
const Z = 1.959963984540054;

/** The metric of labelled rows with its 95 % interval; null if it is undefined. */
export function measureQuality(metric: QualityMetric, rows: readonly ScoredRow[]): Estimate | null {
  const known = rows.filter((row): row is LabelledRow => row.label !== null);
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
  if (metric !== 'rmse') return measureClasses(metric, known);
  const losses = known.map(({ score, label }) => (score - label) ** 2);
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / n;
  const variance = losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0) / (n - 1);
  const value = Math.sqrt(mean);
  return interval(value, value === 0 ? 0 : Math.sqrt(variance / n) / (2 * value), n);
}

/**
 * The expected metric of rows without labels (CBPE, DLE), estimated from earlier labelled rows. Null if there are too few
 * labels.
 */
export function estimateQuality(
  metric: QualityMetric,
  rows: readonly ScoredRow[],
  earlier: readonly ScoredRow[],
  errorOfEstimator = 0,
): Estimate | null {
  const known = earlier.filter((row): row is LabelledRow => row.label !== null);
  if (known.length < CALIBRATION_LABELS || rows.length < ESTIMATED_ROWS) return null;
  const labels = known.map(({ label }) => label);
  const scores = rows.map(({ score }) => score);
  if (metric === 'rmse') {
    const reference = { predictions: known.map(({ score }) => score), labels };
    const squared = estimateSquaredLoss(reference, scores);
    const root = (value: number) => Math.sqrt(Math.max(0, value));
    return { ...squared, value: root(squared.value), low: root(squared.low), high: root(squared.high) };
  }
  if (metric !== 'auc') {
    const fit = classForecast.fit(known, known.length);
    return fit && estimateClasses(metric, rows, (row) => classForecast.expect(fit, row), errorOfEstimator);
  }
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
 * Quality by span and version. Each day is estimated from the labels of earlier days, and a longer span from its days
 * together, so an estimate follows a changing relation with a delay of one day. Pure.
 */
export function qualityOverTime(
  metric: QualityMetric,
  rows: readonly ScoredRow[],
  startOf: (at: number) => number,
): Quality[] {
  const isOfClasses = metric !== 'auc' && metric !== 'rmse';
  const labels = metric === 'auc' ? foretell(rows, labelForecast) : new Map<ScoredRow, number>();
  const classes = isOfClasses ? foretell(rows, classForecast) : new Map<ScoredRow, ArrayLike<number>>();
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
        ? estimateOf(own, labels, error)
        : metric === 'rmse'
          ? estimateQuality(
              metric,
              own,
              rows.filter((row) => row.at < start && row.version === version),
              error,
            )
          : estimateOfClasses(metric, own, classes, error);
    // The estimator's own error: the part that the sampling of labels does not explain.
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

/** As `estimateOf`. */
function estimateOfClasses(
  metric: ClassesMetric,
  rows: readonly ScoredRow[],
  expected: ReadonlyMap<ScoredRow, ArrayLike<number>>,
  errorOfEstimator: number,
): Estimate | null {
  const known = rows.filter((row) => expected.has(row));
  if (known.length < ESTIMATED_ROWS || known.length < rows.length / 2) return null;
  return estimateClasses(metric, known, (row) => expected.get(row)!, errorOfEstimator);
}

/** How much worse a metric is: a positive value is a loss, for AUC and accuracy as well as for errors. */
export function lossBetween(metric: QualityMetric, before: Estimate, now: Estimate): Estimate {
  const sign = isBetterHigher(metric) ? 1 : -1;
  const half = Math.hypot((before.high - before.low) / 2, (now.high - now.low) / 2);
  const value = sign * (before.value - now.value);
  return { value, low: value - half, high: value + half, n: now.n };
}

function interval(value: number, error: number, n: number): Estimate {
  return { value, low: value - Z * error, high: value + Z * error, n };
}
