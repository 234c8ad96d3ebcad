/**
 * Measures of a model on labelled examples. Pure. Arrays run over examples; `weights`, where taken, default to 1 each.
 * Each returns NaN where the measure is not defined (no example, or AUC over one class only).
 */

const margin = 1e-15;

/**
 * Area under the ROC curve: the chance that a positive example scores above a negative one, ties counting half
 * (Mann and Whitney, 1947; computed from mid-ranks, so in O(n log n)).
 *
 * @param labels 1 (or anything above 0.5) for positive.
 */
export function rocAuc(scores: ArrayLike<number>, labels: ArrayLike<number>): number {
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i).sort(
    (a, b) => scores[a]! - scores[b]!,
  );
  let [positives, rankSum] = [0, 0];
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && scores[order[end]!] === scores[order[start]!]) end++;
    const midRank = (start + 1 + end) / 2;
    for (let i = start; i < end; i++) {
      if (labels[order[i]!]! <= 0.5) continue;
      positives++;
      rankSum += midRank;
    }
    start = end;
  }
  const negatives = order.length - positives;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/** Mean of -y log p - (1 - y) log(1 - p), with p kept 1e-15 off 0 and 1. */
export function logLoss(probabilities: ArrayLike<number>, labels: ArrayLike<number>): number {
  return mean(labels.length, (i) => {
    const p = Math.min(1 - margin, Math.max(margin, probabilities[i]!));
    return -labels[i]! * Math.log(p) - (1 - labels[i]!) * Math.log(1 - p);
  });
}

/** Mean of -log p[label] over rows of `classes` probabilities each. */
export function multiclassLogLoss(
  probabilities: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: number,
): number {
  return mean(labels.length, (i) => -Math.log(Math.max(margin, probabilities[i * classes + labels[i]!]!)));
}

/** Share of examples on the right side of a threshold. */
export function accuracy(scores: ArrayLike<number>, labels: ArrayLike<number>, threshold = 0.5): number {
  return mean(labels.length, (i) => (scores[i]! >= threshold === labels[i]! > 0.5 ? 1 : 0));
}

/** Share of rows of `classes` scores whose largest (the first of equals) is the label's. */
export function multiclassAccuracy(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: number,
): number {
  return mean(labels.length, (i) => {
    let best = 0;
    for (let k = 1; k < classes; k++) if (scores[i * classes + k]! > scores[i * classes + best]!) best = k;
    return best === labels[i] ? 1 : 0;
  });
}

/** Root of the mean squared difference. */
export function rmse(values: ArrayLike<number>, labels: ArrayLike<number>): number {
  return Math.sqrt(mean(labels.length, (i) => (values[i]! - labels[i]!) ** 2));
}

/**
 * Normalized discounted cumulative gain at k (Järvelin and Kekäläinen, 2002) with gain 2^label - 1 and discount
 * log2(rank + 1), averaged over groups. Equal scores share their ranks' discounts, so their order does not matter.
 * Groups without a label above 0 have no best order and are left out.
 *
 * @param groups which ranking each example belongs to, such as its request.
 */
export function ndcg(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  groups: ArrayLike<number | string>,
  k: number,
): number {
  const members = new Map<number | string, number[]>();
  for (let i = 0; i < labels.length; i++) {
    const group = members.get(groups[i]!);
    if (group) group.push(i);
    else members.set(groups[i]!, [i]);
  }
  const values: number[] = [];
  for (const rows of members.values()) {
    const ideal = discountedGain(rows, (i) => labels[i]!, labels, k);
    if (ideal > 0) values.push(discountedGain(rows, (i) => scores[i]!, labels, k) / ideal);
  }
  return mean(values.length, (i) => values[i]!);
}

function discountedGain(
  rows: readonly number[],
  scoreOf: (row: number) => number,
  labels: ArrayLike<number>,
  k: number,
): number {
  const sorted = rows.toSorted((a, b) => scoreOf(b) - scoreOf(a));
  const discountAt = (rank: number) => (rank < k ? 1 / Math.log2(rank + 2) : 0);
  let total = 0;
  for (let start = 0; start < sorted.length; ) {
    let [end, discount, gain] = [start, 0, 0];
    while (end < sorted.length && scoreOf(sorted[end]!) === scoreOf(sorted[start]!)) {
      discount += discountAt(end);
      gain += 2 ** labels[sorted[end]!]! - 1;
      end++;
    }
    total += (discount * gain) / (end - start);
    start = end;
  }
  return total;
}

function mean(count: number, valueAt: (index: number) => number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += valueAt(i);
  return sum / count;
}
