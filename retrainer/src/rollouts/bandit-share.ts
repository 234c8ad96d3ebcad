import type { VersionQuality } from './compare-quality.ts';

/** Minimum share of each version: without traffic, a version could never show that it has become better. */
const LEAST_SHARE = 0.05;
const POINTS = 2_001;
const DEVIATIONS = 8;

/**
 * Thompson sampling: the share of the candidate is the probability that its mean quality is the higher one, under Beta(1 + sum,
 * 1 + n - sum) for each version's mean (Thompson, Biometrika 1933; Agrawal and Goyal 2012, fractional rewards), kept between 0.05 and
 * 0.95. Integrated on a grid, so that the same evidence gives the same share. Pure.
 */
export function banditShare(candidate: VersionQuality, live: VersionQuality): number {
  const [a, b] = [posterior(candidate), posterior(live)];
  const low = Math.max(0, Math.min(a.mean - DEVIATIONS * a.deviation, b.mean - DEVIATIONS * b.deviation));
  const high = Math.min(1, Math.max(a.mean + DEVIATIONS * a.deviation, b.mean + DEVIATIONS * b.deviation));
  const at = (index: number) => low + ((high - low) * (index + 0.5)) / POINTS;
  const [densityA, densityB] = [weights(a, at), weights(b, at)];
  let below = 0;
  let better = 0;
  for (let index = 0; index < POINTS; index++) {
    const here = densityB[index] ?? 0;
    better += (densityA[index] ?? 0) * (below + here / 2);
    below += here;
  }
  return Math.min(1 - LEAST_SHARE, Math.max(LEAST_SHARE, better));
}

interface Posterior {
  readonly alpha: number;
  readonly beta: number;
  readonly mean: number;
  readonly deviation: number;
}

function posterior({ outcomes, mean }: VersionQuality): Posterior {
  const alpha = 1 + outcomes * mean;
  const beta = 1 + outcomes * (1 - mean);
  const total = alpha + beta;
  return {
    alpha,
    beta,
    mean: alpha / total,
    deviation: Math.sqrt((alpha * beta) / (total ** 2 * (total + 1))),
  };
}

/** The density at each point, scaled to a sum of 1. */
function weights({ alpha, beta }: Posterior, at: (index: number) => number): Float64Array {
  const logs = Float64Array.from(
    { length: POINTS },
    (_, index) => (alpha - 1) * Math.log(at(index)) + (beta - 1) * Math.log1p(-at(index)),
  );
  const largest = logs.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const densities = logs.map((value) => Math.exp(value - largest));
  const total = densities.reduce((sum, value) => sum + value, 0);
  return densities.map((value) => value / total);
}
