import { aucStandardError, weightedRocAuc } from './area-under-curve.ts';
import { normalQuantile } from './distributions.ts';

export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Number of rows that the estimate is based on. */
  readonly n: number;
}

export type ClassMetric = 'auc' | 'accuracy' | 'log_loss' | 'positive_share';

/**
 * Confidence-based performance estimation (CBPE, NannyML): the expected metric of classes when `probabilities` are
 * calibrated, without labels. It assumes that the relation of inputs to labels has not changed; it cannot detect
 * concept drift.
 *
 * @param scores that the model ranks by; calibrated probabilities give the same ranking, except for ties.
 * @param errorOfEstimator standard error of earlier estimates against later labels, added to the sampling error.
 */
export function estimateClassMetric(
  metric: ClassMetric,
  scores: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  { threshold = 0.5, errorOfEstimator = 0 } = {},
): Estimate {
  const n = scores.length;
  const p = Float64Array.from(probabilities);
  if (n === 0) return { value: Number.NaN, low: Number.NaN, high: Number.NaN, n };
  if (metric === 'auc') {
    const positives = p.reduce((sum, one) => sum + one, 0);
    const value = weightedRocAuc(
      scores,
      p,
      p.map((one) => 1 - one),
    );
    return withError(
      value,
      Math.hypot(aucStandardError(value, positives, n - positives), errorOfEstimator),
      n,
    );
  }
  // Means over rows of a quantity whose variance given the row is known: p (1 - p) (difference of its two values)^2.
  let [sum, variance] = [0, 0];
  for (let index = 0; index < n; index++) {
    const [one, zero] = rowValues(metric, scores[index]!, threshold);
    sum += p[index]! * one + (1 - p[index]!) * zero;
    variance += p[index]! * (1 - p[index]!) * (one - zero) ** 2;
  }
  return withError(sum / n, Math.hypot(Math.sqrt(variance) / n, errorOfEstimator), n);
}

/** The contribution of one row to the metric if its label is 1, and if it is 0. */
function rowValues(
  metric: Exclude<ClassMetric, 'auc'>,
  score: number,
  threshold: number,
): readonly [number, number] {
  if (metric === 'positive_share') return [1, 0];
  if (metric === 'accuracy') return score >= threshold ? [1, 0] : [0, 1];
  const kept = Math.min(1 - 1e-15, Math.max(1e-15, score));
  return [-Math.log(kept), -Math.log(1 - kept)];
}

/**
 * Direct loss estimation for regression (DLE, NannyML): the expected loss of each row, from rows with a similar
 * prediction whose labels are known. `reference` is divided into equal groups by prediction; a row gets its group's
 * mean squared error.
 */
export function estimateSquaredLoss(
  reference: { readonly predictions: ArrayLike<number>; readonly labels: ArrayLike<number> },
  predictions: ArrayLike<number>,
  parts = 20,
): Estimate {
  const n = predictions.length;
  const order = Uint32Array.from({ length: reference.labels.length }, (_v, index) => index).sort(
    (a, b) => reference.predictions[a]! - reference.predictions[b]!,
  );
  if (n === 0 || order.length === 0) return { value: Number.NaN, low: Number.NaN, high: Number.NaN, n };
  const groups: { bound: number; mean: number; error: number }[] = [];
  for (let part = 0; part < parts; part++) {
    const chosen = order.slice(
      Math.floor((part * order.length) / parts),
      Math.floor(((part + 1) * order.length) / parts),
    );
    if (chosen.length === 0) continue;
    const losses = Array.from(chosen, (at) => (reference.predictions[at]! - reference.labels[at]!) ** 2);
    const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    const variance = losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0) / losses.length;
    groups.push({ bound: reference.predictions[chosen.at(-1)!]!, mean, error: variance });
  }
  let [sum, variance] = [0, 0];
  for (let index = 0; index < n; index++) {
    const group = groups.find(({ bound }) => predictions[index]! <= bound) ?? groups.at(-1)!;
    sum += group.mean;
    variance += group.error;
  }
  return withError(sum / n, Math.sqrt(variance) / n, n);
}

const Z = normalQuantile(0.975);

function withError(value: number, error: number, n: number): Estimate {
  return { value, low: value - Z * error, high: value + Z * error, n };
}
