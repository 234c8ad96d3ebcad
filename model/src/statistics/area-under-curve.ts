import type { Interval } from './distributions.ts';
import { normalQuantile } from './distributions.ts';

/**
 * Area under the ROC curve of rows that are positive with weight `positive[i]` and negative with weight
 * `negative[i]`. Ties count half; a row is never compared with itself. NaN when one class has no weight.
 */
export function weightedRocAuc(
  scores: ArrayLike<number>,
  positive: ArrayLike<number>,
  negative: ArrayLike<number>,
): number {
  const order = Uint32Array.from({ length: scores.length }, (_v, index) => index).sort(
    (a, b) => scores[a]! - scores[b]!,
  );
  let [below, wins, all, negatives, own] = [0, 0, 0, 0, 0];
  for (let start = 0; start < order.length; ) {
    let end = start;
    let [tiedPositive, tiedNegative] = [0, 0];
    while (end < order.length && scores[order[end]!] === scores[order[start]!]) {
      const at = order[end++]!;
      tiedPositive += positive[at]!;
      tiedNegative += negative[at]!;
      own += positive[at]! * negative[at]!;
    }
    wins += tiedPositive * (below + tiedNegative / 2);
    below += tiedNegative;
    all += tiedPositive;
    negatives += tiedNegative;
    start = end;
  }
  const pairs = all * negatives - own;
  return pairs > 0 ? (wins - own / 2) / pairs : Number.NaN;
}

/** Standard error of an AUC: Hanley and McNeil (1982). */
export function aucStandardError(auc: number, positives: number, negatives: number): number {
  if (!(positives > 0) || !(negatives > 0)) return Number.NaN;
  const q1 = auc / (2 - auc);
  const q2 = (2 * auc * auc) / (1 + auc);
  const variance = auc * (1 - auc) + (positives - 1) * (q1 - auc * auc) + (negatives - 1) * (q2 - auc * auc);
  return Math.sqrt(Math.max(0, variance) / (positives * negatives));
}

export function aucInterval(auc: number, positives: number, negatives: number, confidence = 0.95): Interval {
  const half = normalQuantile(0.5 + confidence / 2) * aucStandardError(auc, positives, negatives);
  return { low: Math.max(0, auc - half), high: Math.min(1, auc + half) };
}
