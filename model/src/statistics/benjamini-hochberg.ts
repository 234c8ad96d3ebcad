/**
 * Benjamini and Hochberg (1995): p-values adjusted for the false discovery rate, in the given order. Rejecting the
 * hypotheses with an adjusted value of at most `rate` keeps the expected share of false rejections at `rate`.
 */
export function adjustedForFalseDiscoveries(pValues: readonly number[]): number[] {
  const order = pValues.map((_p, index) => index).sort((a, b) => pValues[b]! - pValues[a]!);
  const adjusted = new Array<number>(pValues.length).fill(1);
  let least = 1;
  for (const [position, index] of order.entries()) {
    const rank = pValues.length - position;
    least = Math.min(least, (pValues[index]! * pValues.length) / rank);
    adjusted[index] = least;
  }
  return adjusted;
}
