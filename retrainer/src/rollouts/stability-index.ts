const BINS = 10;
/** Replaces an empty bin, whose logarithm would be infinite. */
const LEAST = 1e-4;

/**
 * Population stability index of `actual` against `expected`, over ten bins with a tenth of `expected` each: the sum of
 * (a - e) ln(a / e) over the bins' shares. By convention, below 0.1 is no change, and above 0.25 a large one (Siddiqi, Credit Risk
 * Scorecards, 2006). Null if either is empty. Pure.
 */
export function stabilityIndex(expected: readonly number[], actual: readonly number[]): number | null {
  if (expected.length === 0 || actual.length === 0) return null;
  const sorted = expected.toSorted((a, b) => a - b);
  const edges = Array.from(
    { length: BINS - 1 },
    (_, index) => sorted[Math.floor(((index + 1) * sorted.length) / BINS)] ?? 0,
  );
  const [e, a] = [sharesOf(expected, edges), sharesOf(actual, edges)];
  return e.reduce(
    (sum, share, bin) => sum + ((a[bin] ?? 0) - share) * Math.log((a[bin] ?? LEAST) / share),
    0,
  );
}

function sharesOf(values: readonly number[], edges: readonly number[]): number[] {
  const counts = new Array<number>(edges.length + 1).fill(0);
  for (const value of values) {
    const bin = edges.findIndex((edge) => value < edge);
    const at = bin === -1 ? edges.length : bin;
    counts[at] = (counts[at] ?? 0) + 1;
  }
  return counts.map((count) => Math.max(LEAST, count / values.length));
}
