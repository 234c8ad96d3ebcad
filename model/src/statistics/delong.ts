import type { Interval } from './distributions.ts';
import { normalQuantile } from './distributions.ts';

/** Two areas under the ROC curve on the same rows. */
export interface AucComparison {
  readonly first: number;
  readonly second: number;
  /** first - second. */
  readonly difference: number;
  /** Of the difference; takes into account that both are measured on the same rows. */
  readonly standardError: number;
  readonly interval: Interval;
}

/**
 * Compares two scores of the same rows by AUC: DeLong, DeLong and Clarke-Pearson (1988), by mid-ranks in O(n log n)
 * as in Sun and Xu (2014). NaN when one class is absent; the standard error is NaN with fewer than two rows of a
 * class.
 *
 * @param labels above 0.5 is positive.
 */
export function compareAucs(
  first: ArrayLike<number>,
  second: ArrayLike<number>,
  labels: ArrayLike<number>,
  confidence = 0.95,
): AucComparison {
  const positives: number[] = [];
  const negatives: number[] = [];
  for (let row = 0; row < labels.length; row++) (labels[row]! > 0.5 ? positives : negatives).push(row);
  const a = placements(first, positives, negatives);
  const b = placements(second, positives, negatives);
  const variance =
    differenceVariance(a.positives, b.positives) / positives.length +
    differenceVariance(a.negatives, b.negatives) / negatives.length;
  const difference = a.auc - b.auc;
  const standardError = Math.sqrt(Math.max(0, variance));
  const half = normalQuantile(0.5 + confidence / 2) * standardError;
  return {
    first: a.auc,
    second: b.auc,
    difference,
    standardError,
    interval: { low: difference - half, high: difference + half },
  };
}

interface Placements {
  readonly auc: number;
  /** For each positive: the share of negatives below it, ties counting half. */
  readonly positives: Float64Array;
  /** For each negative: the share of positives above it, ties counting half. */
  readonly negatives: Float64Array;
}

function placements(
  scores: ArrayLike<number>,
  positives: readonly number[],
  negatives: readonly number[],
): Placements {
  const all = midRanks(scores, [...positives, ...negatives]);
  const among = { positives: midRanks(scores, positives), negatives: midRanks(scores, negatives) };
  const [m, n] = [positives.length, negatives.length];
  const above = Float64Array.from(positives, (_row, index) => (all[index]! - among.positives[index]!) / n);
  const below = Float64Array.from(
    negatives,
    (_row, index) => 1 - (all[m + index]! - among.negatives[index]!) / m,
  );
  return { auc: m === 0 || n === 0 ? Number.NaN : mean(above), positives: above, negatives: below };
}

/** The rank of each of these rows among them, from 1; equal scores share their mean rank. */
function midRanks(scores: ArrayLike<number>, rows: readonly number[]): Float64Array {
  const order = Uint32Array.from(rows.keys()).sort((a, b) => scores[rows[a]!]! - scores[rows[b]!]!);
  const ranks = new Float64Array(rows.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && scores[rows[order[end]!]!] === scores[rows[order[start]!]!]) end++;
    for (let at = start; at < end; at++) ranks[order[at]!] = (start + 1 + end) / 2;
    start = end;
  }
  return ranks;
}

function differenceVariance(a: Float64Array, b: Float64Array): number {
  const differences = a.map((value, index) => value - b[index]!);
  const centre = mean(differences);
  let sum = 0;
  for (const value of differences) sum += (value - centre) ** 2;
  return sum / (differences.length - 1);
}

function mean(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}
