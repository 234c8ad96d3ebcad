import { calibrated, fitCalibration, fitPlatt, plattProbability } from './calibration.ts';
import { normalQuantile } from './distributions.ts';
import type { Estimate } from './estimated-performance.ts';

/** Metrics of classification into several classes. For `log_loss`, lower is better. */
export type ClassesMetric = 'accuracy' | 'macro_f1' | 'log_loss';

/** Probabilities of one row by class, as the model gives them. */
export type ClassProbabilities = ArrayLike<number>;

/** From the model's probability of one class to a calibrated one. */
export type Curve = (probability: number) => number;
export type ClassCalibration = readonly Curve[];

/** A class with fewer labels, or fewer labels of other classes, uses the curve shared by all classes. */
const OWN_CURVE_LABELS = 20;
/** With this many labels of the class and of other classes, isotonic regression is used instead of Platt scaling. */
const STEPS_LABELS = 400;
const EDGE = 1e-7;
const Z = normalQuantile(0.975);

/**
 * Calibrates each class against all others, as CBPE does for several classes. Classes with few labels share one curve, fitted
 * to the pairs of all classes.
 *
 * @param labels indices of classes.
 */
export function fitClassCalibration(
  rows: readonly ClassProbabilities[],
  labels: ArrayLike<number>,
): ClassCalibration {
  const classes = rows[0]?.length ?? 0;
  const counts = new Float64Array(classes);
  for (let row = 0; row < rows.length; row++) counts[labels[row]!]!++;
  const known = (count: number) => Math.min(count, rows.length - count);
  const shared = counts.every((count) => known(count) >= OWN_CURVE_LABELS)
    ? null
    : sharedCurve(rows, labels, classes);
  return Array.from(counts, (count, k) => {
    if (shared && known(count) < OWN_CURVE_LABELS) return shared;
    const scores = rows.map((row) => row[k]!);
    const truths = Array.from({ length: rows.length }, (_v, row) => (labels[row] === k ? 1 : 0));
    return known(count) >= STEPS_LABELS ? steps(scores, truths) : twoNumbers(scores, truths);
  });
}

function steps(scores: readonly number[], truths: readonly number[]): Curve {
  const calibration = fitCalibration(scores, truths);
  return (probability) => calibrated(calibration, probability);
}

function twoNumbers(scores: readonly number[], truths: readonly number[]): Curve {
  const platt = fitPlatt(scores, truths);
  return (probability) => plattProbability(platt, probability);
}

/** Largest number of (row, class) pairs that the shared curve is fitted to. */
const SHARED_PAIRS = 20_000;

function sharedCurve(rows: readonly ClassProbabilities[], labels: ArrayLike<number>, classes: number): Curve {
  const step = Math.max(1, Math.ceil((rows.length * classes) / SHARED_PAIRS));
  const [scores, truths]: [number[], number[]] = [[], []];
  for (let row = 0; row < rows.length; row += step)
    for (let k = 0; k < classes; k++) {
      scores.push(rows[row]![k]!);
      truths.push(labels[row] === k ? 1 : 0);
    }
  return twoNumbers(scores, truths);
}

/** Calibrated probabilities of one row; they sum to 1. */
export function calibratedClasses(calibration: ClassCalibration, row: ClassProbabilities): Float64Array {
  const own = Float64Array.from(calibration, (curve, k) => curve(row[k]!));
  const sum = own.reduce((total, p) => total + p, 0);
  return sum > 0 ? own.map((p) => p / sum) : own.fill(1 / own.length);
}

/** Index of the largest probability; the first one if several are equal. */
export function largestClass(row: ClassProbabilities): number {
  let best = 0;
  for (let k = 1; k < row.length; k++) if (row[k]! > row[best]!) best = k;
  return best;
}

/**
 * The metric with a 95 % interval where each row's label is only known by its probabilities (CBPE, NannyML): of labels that are
 * known, these are 1 for the label and 0 for the rest. Accuracy and log loss are means over rows. Macro F1 comes from the expected
 * table of predicted and true classes; its error is linearised (each row's effect on the classes that it is in).
 *
 * @param rows the model's own probabilities: they decide the predicted class, and log loss is of them.
 * @param truths probabilities of the labels.
 * @param errorOfEstimator standard error of earlier estimates against later labels, added to the sampling error.
 */
export function classesPerformance(
  metric: ClassesMetric,
  rows: readonly ClassProbabilities[],
  truths: readonly ArrayLike<number>[],
  errorOfEstimator = 0,
): Estimate {
  const n = rows.length;
  if (n === 0) return { value: Number.NaN, low: Number.NaN, high: Number.NaN, n };
  const predicted = rows.map(largestClass);
  const { value, effectOf } =
    metric === 'macro_f1' ? macroF1(predicted, truths) : meanOf(metric, rows, predicted);
  // Variance over the possible labels of a row, and over rows. The first is zero for known labels; the second is small for estimates.
  let [within, sum, squares] = [0, 0, 0];
  let total = 0;
  for (let row = 0; row < n; row++) {
    const truth = truths[row]!;
    let [mean, square] = [0, 0];
    for (let k = 0; k < truth.length; k++) {
      const p = truth[k]!;
      if (p === 0) continue;
      const effect = effectOf(row, k);
      mean += p * effect;
      square += p * effect * effect;
    }
    within += square - mean * mean;
    total += mean;
    sum += mean;
    squares += mean * mean;
  }
  const between = Math.max(0, squares - (sum * sum) / n);
  const isKnown = truths.every((truth) => truth[largestClass(truth)] === 1);
  const error = Math.hypot(Math.sqrt(Math.max(0, within) + (isKnown ? between : 0)), errorOfEstimator);
  const found = metric === 'macro_f1' ? value : total;
  return { value: found, low: found - Z * error, high: found + Z * error, n };
}

/** Contribution of a row to the metric when its label is class k. */
type EffectOf = (row: number, k: number) => number;

function meanOf(
  metric: 'accuracy' | 'log_loss',
  rows: readonly ClassProbabilities[],
  predicted: readonly number[],
): { readonly value: number; readonly effectOf: EffectOf } {
  const n = rows.length;
  const effectOf: EffectOf =
    metric === 'accuracy'
      ? (row, k) => (predicted[row] === k ? 1 / n : 0)
      : (row, k) => -Math.log(Math.max(EDGE, rows[row]![k]!)) / n;
  return { value: 0, effectOf };
}

/** F1 of class k is 2 right / (predicted + true); classes that are neither predicted nor true are left out. */
function macroF1(
  predicted: readonly number[],
  truths: readonly ArrayLike<number>[],
): { readonly value: number; readonly effectOf: EffectOf } {
  const classes = truths[0]!.length;
  const [right, sizes] = [new Float64Array(classes), new Float64Array(classes)];
  for (const [row, truth] of truths.entries()) {
    const chosen = predicted[row]!;
    right[chosen]! += truth[chosen]!;
    sizes[chosen]!++;
    for (let k = 0; k < classes; k++) sizes[k]! += truth[k]!;
  }
  // An expected count below this is treated as zero.
  const occurs = Array.from(sizes, (size) => size > 1e-9);
  const count = Math.max(1, occurs.filter(Boolean).length);
  const f1 = Array.from(right, (hits, k) => (occurs[k] ? (2 * hits) / sizes[k]! : 0));
  const loss = (k: number) => (occurs[k] ? f1[k]! / sizes[k]! : 0);
  return {
    value: f1.reduce((sum, one) => sum + one, 0) / count,
    effectOf: (row, k) => {
      const chosen = predicted[row]!;
      return ((k === chosen ? 2 / sizes[chosen]! : 0) - loss(chosen) - loss(k)) / count;
    },
  };
}
