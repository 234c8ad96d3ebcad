import type { Interval } from './distributions.ts';

/**
 * Contributions of independent units (a prediction with all its rows) to a metric of two models: the sums for both
 * models, and the weight. The metric is `transform(sum of values / sum of weights)`.
 */
export interface PairedUnits {
  readonly first: ArrayLike<number>;
  readonly second: ArrayLike<number>;
  readonly weights: ArrayLike<number>;
  /** Default: the mean itself; the square root for a root mean square. */
  readonly transform?: (mean: number) => number;
}

export interface PairedDifference {
  readonly first: number;
  readonly second: number;
  readonly difference: number;
  readonly interval: Interval;
}

const MOST_DRAWS = 20_000_000;
const LEAST_RESAMPLES = 200;

/**
 * The difference of two models' metric on the same units, with the percentile interval of the paired bootstrap: units
 * are drawn with replacement, both models always on the same draw (Efron and Tibshirani, 1993, chapter 13). NaN
 * without units. Pure: randomness is an argument.
 *
 * @param uniform returns numbers in [0, 1).
 */
export function pairedBootstrap(
  units: PairedUnits,
  uniform: () => number,
  { confidence = 0.95, resamples = 1000 } = {},
): PairedDifference {
  const { first, second, weights, transform = (mean: number) => mean } = units;
  const n = weights.length;
  let [a, b, w] = [0, 0, 0];
  for (let unit = 0; unit < n; unit++) {
    a += first[unit]!;
    b += second[unit]!;
    w += weights[unit]!;
  }
  const [firstValue, secondValue] = [transform(a / w), transform(b / w)];
  const times = Math.max(LEAST_RESAMPLES, Math.min(resamples, Math.floor(MOST_DRAWS / Math.max(1, n))));
  const differences = new Float64Array(times);
  for (let turn = 0; turn < times; turn++) {
    [a, b, w] = [0, 0, 0];
    for (let draw = 0; draw < n; draw++) {
      const unit = Math.floor(uniform() * n);
      a += first[unit]!;
      b += second[unit]!;
      w += weights[unit]!;
    }
    differences[turn] = w > 0 ? transform(a / w) - transform(b / w) : Number.NaN;
  }
  const known = differences.filter((value) => !Number.isNaN(value)).sort();
  const at = (share: number) => known[Math.min(known.length - 1, Math.floor(share * known.length))];
  return {
    first: firstValue,
    second: secondValue,
    difference: firstValue - secondValue,
    interval: { low: at((1 - confidence) / 2) ?? Number.NaN, high: at((1 + confidence) / 2) ?? Number.NaN },
  };
}
