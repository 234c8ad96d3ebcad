import type { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';

/** Above this mean a count is drawn from the normal approximation. */
const LARGE = 60;

/** Successes among `n` trials. */
export function binomial(n: number, p: number, random: SeededRandom): number {
  if (n <= 0 || p <= 0) return 0;
  if (p >= 1) return n;
  if (p > 0.5) return n - binomial(n, 1 - p, random);
  const mean = n * p;
  if (mean > LARGE) {
    const drawn = Math.round(mean + Math.sqrt(mean * (1 - p)) * random.normal());
    return Math.max(0, Math.min(n, drawn));
  }
  // Inversion: follows the distribution function up from 0.
  let chance = (1 - p) ** n;
  let left = random.uniform();
  const odds = p / (1 - p);
  for (let k = 0; k < n; k++) {
    left -= chance;
    if (left < 0) return k;
    chance *= ((n - k) / (k + 1)) * odds;
  }
  return n;
}

/** Number of events with the given mean. */
export function poisson(mean: number, random: SeededRandom): number {
  if (mean > LARGE) return Math.max(0, Math.round(mean + Math.sqrt(mean) * random.normal()));
  let chance = Math.exp(-mean);
  let left = random.uniform();
  for (let k = 0; k < 1000; k++) {
    left -= chance;
    if (left < 0) return k;
    chance *= mean / (k + 1);
  }
  return 1000;
}
