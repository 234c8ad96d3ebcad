/**
 * Tails of common distributions. Incomplete gamma: series and continued fraction (Numerical Recipes, 3rd edition,
 * 6.2); the others follow from it. Relative error below 1e-12 for results above 1e-300.
 */

const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
] as const;

/** ln Γ(x) for x > 0, after Lanczos with g = 7. */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const shifted = x - 1;
  const t = shifted + 7.5;
  let sum: number = LANCZOS[0];
  for (let index = 1; index < LANCZOS.length; index++) sum += LANCZOS[index]! / (shifted + index);
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(t) - t + Math.log(sum);
}

/** Upper regularized incomplete gamma Q(a, x). 1 for x <= 0. */
export function gammaUpper(a: number, x: number): number {
  if (!(x > 0)) return 1;
  if (x === Number.POSITIVE_INFINITY) return 0;
  return x < a + 1 ? 1 - gammaSeries(a, x) : gammaFraction(a, x);
}

/** Lower regularized incomplete gamma P(a, x). */
export function gammaLower(a: number, x: number): number {
  if (!(x > 0)) return 0;
  if (x === Number.POSITIVE_INFINITY) return 1;
  return x < a + 1 ? gammaSeries(a, x) : 1 - gammaFraction(a, x);
}

const MAX_STEPS = 100_000;

function gammaSeries(a: number, x: number): number {
  let term = 1 / a;
  let sum = term;
  for (let step = 1; step < MAX_STEPS; step++) {
    term *= x / (a + step);
    sum += term;
    if (term < sum * 1e-16) break;
  }
  return sum * Math.exp(-x + a * Math.log(x) - logGamma(a));
}

function gammaFraction(a: number, x: number): number {
  const tiny = 1e-300;
  let b = x + 1 - a;
  let c = 1 / tiny;
  let d = 1 / b;
  let h = d;
  for (let step = 1; step < MAX_STEPS; step++) {
    const an = -step * (step - a);
    b += 2;
    d = an * d + b;
    if (Math.abs(d) < tiny) d = tiny;
    c = b + an / c;
    if (Math.abs(c) < tiny) c = tiny;
    d = 1 / d;
    const delta = d * c;
    h *= delta;
    if (Math.abs(delta - 1) < 1e-15) break;
  }
  return Math.exp(-x + a * Math.log(x) - logGamma(a)) * h;
}

/** P(X >= x) of a chi-square variable. */
export function chiSquareSurvival(x: number, degrees: number): number {
  return degrees <= 0 ? 1 : gammaUpper(degrees / 2, x / 2);
}

/** P(Z <= z) of the standard normal distribution. */
export function normalCdf(z: number): number {
  const tail = 0.5 * gammaUpper(0.5, (z * z) / 2);
  return z > 0 ? 1 - tail : tail;
}

/** P(|Z| >= z). */
export function normalTwoSided(z: number): number {
  return gammaUpper(0.5, (z * z) / 2);
}

/** The z with P(Z <= z) = p, by bisection. Infinite at 0 and 1. */
export function normalQuantile(p: number): number {
  if (p <= 0) return Number.NEGATIVE_INFINITY;
  if (p >= 1) return Number.POSITIVE_INFINITY;
  let low = -40;
  let high = 40;
  for (let step = 0; step < 100; step++) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** P(X <= k) of a Poisson variable with this mean. */
export function poissonAtMost(k: number, mean: number): number {
  return k < 0 ? 0 : gammaUpper(Math.floor(k) + 1, mean);
}

/** P(X >= k) of a Poisson variable with this mean. */
export function poissonAtLeast(k: number, mean: number): number {
  return k <= 0 ? 1 : gammaLower(Math.ceil(k), mean);
}

/** P(sup of a Brownian bridge >= x): the limit of the Kolmogorov-Smirnov statistic times sqrt(n m / (n + m)). */
export function kolmogorovSurvival(x: number): number {
  if (x < 0.2) return 1;
  let sum = 0;
  for (let k = 1; k <= 100; k++) {
    const term = Math.exp(-2 * k * k * x * x);
    sum += k % 2 === 1 ? term : -term;
    if (term < 1e-18) break;
  }
  return Math.min(1, Math.max(0, 2 * sum));
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Wilson's score interval of a share; [0, 1] without trials. */
export function wilsonInterval(successes: number, trials: number, z = 1.959963984540054): Interval {
  if (trials <= 0) return { low: 0, high: 1 };
  const share = successes / trials;
  const z2 = z * z;
  const middle = (share + z2 / (2 * trials)) / (1 + z2 / trials);
  const half =
    (z / (1 + z2 / trials)) * Math.sqrt((share * (1 - share)) / trials + z2 / (4 * trials * trials));
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/** Two-sided p-value for equality of two shares: chi-square of the 2 x 2 table with Yates' correction. */
export function sharesDiffer(a: number, trialsA: number, b: number, trialsB: number): number {
  if (a + b <= EXACT_SUCCESSES && a + b > 0 && a <= trialsA && b <= trialsB)
    return sharesDifferExactly(a, trialsA, b, trialsB);
  const all = trialsA + trialsB;
  const hits = a + b;
  if (trialsA <= 0 || trialsB <= 0 || hits <= 0 || hits >= all) return 1;
  const gap = Math.abs(a * (trialsB - b) - b * (trialsA - a));
  const corrected = Math.max(0, gap - all / 2);
  const statistic = (all * corrected * corrected) / (trialsA * trialsB * hits * (all - hits));
  return chiSquareSurvival(statistic, 1);
}

/**
 * Up to this many successes the exact test is used: the normal approximation is too optimistic there, and the exact
 * sum is short.
 */
const EXACT_SUCCESSES = 1_000;

/** Fisher's exact test, twice the smaller tail: given all successes, those of the first sample are hypergeometric. */
function sharesDifferExactly(a: number, trialsA: number, b: number, trialsB: number): number {
  const successes = a + b;
  const choose = (n: number, k: number) => logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);
  const all = choose(trialsA + trialsB, successes);
  const chance = (k: number) =>
    k > trialsA || successes - k > trialsB
      ? 0
      : Math.exp(choose(trialsA, k) + choose(trialsB, successes - k) - all);
  let [low, high] = [0, 0];
  for (let k = 0; k <= a; k++) low += chance(k);
  for (let k = a; k <= successes; k++) high += chance(k);
  return Math.min(1, 2 * Math.min(low, high));
}
