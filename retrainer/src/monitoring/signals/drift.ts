import {
  chiSquareHomogeneity,
  EMPTY_SHARE,
  jensenShannonDistance,
  populationStabilityIndex,
  totalOf,
  wassersteinDistance,
} from '@hotloop/model/statistics/distances.ts';
import type { FeatureSketch } from '../sketches/feature-sketch.ts';

export type DriftMeasure = 'psi' | 'jensen_shannon' | 'wasserstein';

export interface Drift {
  /** Corrected for sampling noise; never below 0. */
  readonly effect: number;
  readonly low: number;
  readonly high: number;
  /** Chi-square test of the binned counts. */
  readonly p: number;
  readonly n: number;
}

const NUMBER_BINS = 10;
const Z95 = 1.96;

export const DRIFT_DEFAULTS: Readonly<Record<DriftMeasure, number>> = {
  psi: 0.1,
  jensen_shannon: 0.1,
  wasserstein: 0.2,
};

/** Counts of both sketches in the same bins: deciles of the baseline for numbers, categories otherwise. */
export function sharedBins(
  baseline: FeatureSketch,
  current: FeatureSketch,
): { readonly expected: Float64Array; readonly actual: Float64Array } {
  if (baseline.kind !== 'number') return categoryBins(baseline, current);
  const bins = baseline.values.sortedBins();
  const edges: number[] = [];
  let [seen, cut] = [0, 1];
  for (const [bin, count] of bins) {
    seen += count;
    if (seen >= (cut * baseline.values.count) / NUMBER_BINS) {
      edges.push(bin);
      while (seen >= (cut * baseline.values.count) / NUMBER_BINS) cut++;
    }
  }
  const order = new Map<number, number>();
  // There is one bin more than edges, for values above every edge.
  const size = edges.length + 1;
  const place = (sketch: FeatureSketch): Float64Array => {
    const counts = new Float64Array(size);
    for (const [bin, count] of sketch.values.bins) {
      let index = order.get(bin);
      if (index === undefined) {
        const rank = rankOf(bin);
        index = edges.findIndex((edge) => rank <= rankOf(edge));
        if (index < 0) index = edges.length;
        order.set(bin, index);
      }
      counts[index]! += count;
    }
    return counts;
  };
  return { expected: place(baseline), actual: place(current) };
}

const rankOf = (bin: number): number => (bin & 0x8000 ? -(bin & 0x7fff) - 1 : bin);

/** Merges categories that are rare in both into one bin, so that the chi-square test is valid. */
function categoryBins(baseline: FeatureSketch, current: FeatureSketch) {
  const size = Math.max(baseline.categories.length, current.categories.length);
  const expected: number[] = [];
  const actual: number[] = [];
  let [restExpected, restActual] = [0, 0];
  const [n, m] = [totalOf(baseline.categories), totalOf(current.categories)];
  for (let index = 0; index < size; index++) {
    const [a, b] = [baseline.categories[index] ?? 0, current.categories[index] ?? 0];
    if (((a + b) * Math.min(n, m)) / Math.max(1, n + m) >= 5) {
      expected.push(a);
      actual.push(b);
    } else {
      restExpected += a;
      restActual += b;
    }
  }
  return {
    expected: Float64Array.from([...expected, restExpected]),
    actual: Float64Array.from([...actual, restActual]),
  };
}

/** Distance of a feature's present values from its baseline. Missing values are not included; they are another signal. */
export function measureDrift(baseline: FeatureSketch, current: FeatureSketch, measure: DriftMeasure): Drift {
  const { expected, actual } = sharedBins(baseline, current);
  const wasserstein = measure === 'wasserstein' ? scaledWasserstein(baseline, current) : 0;
  return driftOfCounts(expected, actual, measure, wasserstein);
}

/** As `measureDrift`, from counts of the same bins. */
export function driftOfCounts(
  expected: Float64Array,
  actual: Float64Array,
  measure: DriftMeasure,
  wasserstein = 0,
): Drift {
  const [n, m] = [totalOf(expected), totalOf(actual)];
  if (n === 0 || m === 0) return { effect: 0, low: 0, high: 0, p: 1, n: m };
  const { p, degrees } = chiSquareHomogeneity(expected, actual);
  const noise = Math.max(1, degrees) * (1 / n + 1 / m);
  const emptyShare = Math.max(EMPTY_SHARE, 0.5 / Math.max(n, m));
  const raw = populationStabilityIndex(expected, actual, emptyShare);
  const psi = Math.max(0, raw - noise);
  const half = Z95 * Math.hypot(psiError(expected, actual, emptyShare), noise / 2);
  if (measure === 'psi') return { effect: psi, low: Math.max(0, psi - half), high: psi + half, p, n: m };
  if (measure === 'jensen_shannon') {
    // For small shifts the divergence, and its noise, is an eighth of the index.
    const squared = Math.max(0, jensenShannonDistance(expected, actual) ** 2 - noise / 8);
    const effect = Math.sqrt(squared);
    const low = Math.sqrt(Math.max(0, squared - half / 8));
    return { effect, low, high: Math.sqrt(squared + half / 8), p, n: m };
  }
  const error = Math.sqrt(1 / n + 1 / m);
  const effect = Math.max(0, wasserstein - error);
  return { effect, low: Math.max(0, effect - Z95 * error), high: effect + Z95 * error, p, n: m };
}

/** In standard deviations of training; for categories, the total variation distance. */
function scaledWasserstein(baseline: FeatureSketch, current: FeatureSketch): number {
  if (baseline.kind === 'number') {
    const deviation = baseline.values.deviation;
    const distance = wassersteinDistance(baseline.values.asSample(), current.values.asSample());
    return distance === 0 ? 0 : distance / (deviation || Math.abs(baseline.values.mean) || 1);
  }
  const { expected, actual } = categoryBins(baseline, current);
  const [n, m] = [totalOf(expected) || 1, totalOf(actual) || 1];
  return expected.reduce((sum, count, index) => sum + Math.abs(count / n - actual[index]! / m), 0) / 2;
}

/** Standard error of the index by the delta method. */
function psiError(expected: Float64Array, actual: Float64Array, emptyShare: number): number {
  const [n, m] = [totalOf(expected), totalOf(actual)];
  let [meanP, meanQ, squareP, squareQ] = [0, 0, 0, 0];
  for (let index = 0; index < expected.length; index++) {
    const p = expected[index]! / n || emptyShare;
    const q = actual[index]! / m || emptyShare;
    const byQ = Math.log(q / p) + 1 - p / q;
    const byP = -Math.log(q / p) + 1 - q / p;
    meanP += p * byP;
    meanQ += q * byQ;
    squareP += p * byP * byP;
    squareQ += q * byQ * byQ;
  }
  return Math.sqrt(Math.max(0, squareP - meanP ** 2) / n + Math.max(0, squareQ - meanQ ** 2) / m);
}
