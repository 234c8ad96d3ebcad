import { chiSquareSurvival, kolmogorovSurvival } from './distributions.ts';

/** Counts of the same bins, in the same order, of two samples. */
export type Counts = ArrayLike<number>;

export function totalOf(counts: Counts): number {
  let total = 0;
  for (let index = 0; index < counts.length; index++) total += counts[index]!;
  return total;
}

/** Share assumed for an empty bin, as in Evidently: 0.0001. */
export const EMPTY_SHARE = 1e-4;

/**
 * Population stability index: sum of (q - p) ln(q / p) over the bins' shares, p of `expected`, q of `actual`. An
 * empty bin gets the share `emptyShare`. 0 for two empty samples.
 */
export function populationStabilityIndex(expected: Counts, actual: Counts, emptyShare = EMPTY_SHARE): number {
  const [n, m] = [totalOf(expected), totalOf(actual)];
  if (n === 0 || m === 0) return 0;
  let sum = 0;
  for (let index = 0; index < expected.length; index++) {
    const p = expected[index]! / n || emptyShare;
    const q = actual[index]! / m || emptyShare;
    sum += (q - p) * Math.log(q / p);
  }
  return sum;
}

/** Square root of the Jensen-Shannon divergence, natural logarithm, as SciPy's `jensenshannon`: 0 to sqrt(ln 2). */
export function jensenShannonDistance(expected: Counts, actual: Counts): number {
  const [n, m] = [totalOf(expected), totalOf(actual)];
  if (n === 0 || m === 0) return 0;
  let sum = 0;
  for (let index = 0; index < expected.length; index++) {
    const p = expected[index]! / n;
    const q = actual[index]! / m;
    const middle = (p + q) / 2;
    if (p > 0) sum += p * Math.log(p / middle);
    if (q > 0) sum += q * Math.log(q / middle);
  }
  return Math.sqrt(Math.max(0, sum / 2));
}

export interface TestResult {
  readonly statistic: number;
  readonly p: number;
}

/**
 * Chi-square test of homogeneity of two rows of counts; bins that are empty in both are ignored. As SciPy's
 * `chi2_contingency`, uncorrected.
 */
export function chiSquareHomogeneity(expected: Counts, actual: Counts): TestResult & { degrees: number } {
  const [n, m] = [totalOf(expected), totalOf(actual)];
  if (n === 0 || m === 0) return { statistic: 0, p: 1, degrees: 0 };
  let statistic = 0;
  let used = 0;
  for (let index = 0; index < expected.length; index++) {
    const [a, b] = [expected[index]!, actual[index]!];
    const both = a + b;
    if (both === 0) continue;
    used++;
    const wantedA = (both * n) / (n + m);
    const wantedB = (both * m) / (n + m);
    statistic += (a - wantedA) ** 2 / wantedA + (b - wantedB) ** 2 / wantedB;
  }
  return { statistic, p: chiSquareSurvival(statistic, used - 1), degrees: used - 1 };
}

/** A sample's values with their weights, ascending; values may repeat. */
export interface WeightedSample {
  readonly values: ArrayLike<number>;
  /** All 1 when absent. */
  readonly weights?: ArrayLike<number>;
}

/** A sorted sample, without NaN. */
export function sortedSample(values: ArrayLike<number>): WeightedSample {
  const kept = Float64Array.from(values).filter((value) => !Number.isNaN(value));
  return { values: kept.sort() };
}

/** Traverses both distribution functions; calls back with F, G and the width of each step. */
function walk(
  a: WeightedSample,
  b: WeightedSample,
  step: (f: number, g: number, width: number) => void,
): void {
  const totalA = a.weights ? totalOf(a.weights) : a.values.length;
  const totalB = b.weights ? totalOf(b.weights) : b.values.length;
  if (totalA === 0 || totalB === 0) return;
  let [i, j, f, g] = [0, 0, 0, 0];
  while (i < a.values.length || j < b.values.length) {
    const at = Math.min(a.values[i] ?? Number.POSITIVE_INFINITY, b.values[j] ?? Number.POSITIVE_INFINITY);
    for (; i < a.values.length && a.values[i]! <= at; i++) f += a.weights?.[i] ?? 1;
    for (; j < b.values.length && b.values[j]! <= at; j++) g += b.weights?.[j] ?? 1;
    const next = Math.min(a.values[i] ?? Number.POSITIVE_INFINITY, b.values[j] ?? Number.POSITIVE_INFINITY);
    step(f / totalA, g / totalB, next === Number.POSITIVE_INFINITY ? 0 : next - at);
  }
}

/** First Wasserstein distance: the area between the two distribution functions, in the values' unit. */
export function wassersteinDistance(a: WeightedSample, b: WeightedSample): number {
  let sum = 0;
  walk(a, b, (f, g, width) => {
    sum += Math.abs(f - g) * width;
  });
  return sum;
}

/** Two-sample Kolmogorov-Smirnov: the largest gap, with its asymptotic p-value. */
export function kolmogorovSmirnov(a: WeightedSample, b: WeightedSample): TestResult {
  let statistic = 0;
  walk(a, b, (f, g) => {
    statistic = Math.max(statistic, Math.abs(f - g));
  });
  const n = a.weights ? totalOf(a.weights) : a.values.length;
  const m = b.weights ? totalOf(b.weights) : b.values.length;
  const p = n === 0 || m === 0 ? 1 : kolmogorovSurvival(statistic * Math.sqrt((n * m) / (n + m)));
  return { statistic, p };
}
