import { chiSquareSurvival } from './distributions.ts';

export interface ChangePoint {
  /** Index of the first item after the change. */
  readonly at: number;
  /** Chance of a split this clear if nothing changed; corrected for the number of splits (Bonferroni). */
  readonly p: number;
}

/**
 * Finds the split of a sequence of categories that separates two distributions best: the one with the largest chi-square
 * of homogeneity between the items before and after it (Horváth and Serbinowska 1995, "Testing for changes in multinomial
 * observations"). Pure.
 *
 * @param categories of each item, in order of time: 0 to `count` - 1.
 * @param least the smallest number of items on either side.
 * @returns null if the sequence is too short, or all items have one category.
 */
export function changePoint(categories: ArrayLike<number>, count: number, least: number): ChangePoint | null {
  const n = categories.length;
  const totals = new Float64Array(count);
  for (let at = 0; at < n; at++) totals[categories[at]!]!++;
  const used = totals.reduce((sum, total) => sum + (total > 0 ? 1 : 0), 0);
  if (n < 2 * least || used < 2) return null;
  const before = new Float64Array(count);
  let best = { at: 0, statistic: -1 };
  for (let at = 1; at <= n - least; at++) {
    before[categories[at - 1]!]!++;
    if (at < least) continue;
    let statistic = 0;
    for (let category = 0; category < count; category++) {
      const total = totals[category]!;
      if (total > 0) statistic += (before[category]! * n - total * at) ** 2 / (total * at * (n - at));
    }
    if (statistic > best.statistic) best = { at, statistic };
  }
  return { at: best.at, p: Math.min(1, n * chiSquareSurvival(best.statistic, used - 1)) };
}
