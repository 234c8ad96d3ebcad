/** An example whose given label is probably wrong. */
export interface SuspectedLabel {
  /** Place in the given lists. */
  readonly index: number;
  /** The class it seems to be. */
  readonly suspected: number;
  /** Probability of the given label minus that of the suspected one: the lower, the more certain. */
  readonly margin: number;
}

/**
 * Finds probable label errors by confident learning: an example counts as class j when its probability of j is at least the mean
 * probability of j among the examples labelled j; where that class is not its label, the label is suspected. Of several classes the
 * most probable counts. The most certain errors first. Pure.
 *
 * Northcutt, Jiang, Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels. JAIR 70 (2021), equations 1 and 2.
 *
 * @param probabilities one list for each example, a probability for each class; should not come from training on these labels.
 * @param labels the class of each example, from 0.
 */
export function suspectedLabels(
  probabilities: readonly ArrayLike<number>[],
  labels: readonly number[],
): SuspectedLabel[] {
  const classes = probabilities[0]?.length ?? 0;
  const sums = new Float64Array(classes);
  const counts = new Uint32Array(classes);
  for (const [index, label] of labels.entries()) {
    sums[label] = (sums[label] ?? 0) + (probabilities[index]![label] ?? 0);
    counts[label] = (counts[label] ?? 0) + 1;
  }
  // A class that nobody was given has no threshold, and is never suspected.
  const thresholds = Array.from(sums, (sum, j) =>
    counts[j] === 0 ? Number.POSITIVE_INFINITY : sum / counts[j]!,
  );
  const found: SuspectedLabel[] = [];
  for (const [index, label] of labels.entries()) {
    const own = probabilities[index]!;
    let suspected = -1;
    for (let j = 0; j < classes; j++)
      if (own[j]! >= thresholds[j]! && (suspected < 0 || own[j]! > own[suspected]!)) suspected = j;
    if (suspected >= 0 && suspected !== label)
      found.push({ index, suspected, margin: own[label]! - own[suspected]! });
  }
  return found.sort((a, b) => a.margin - b.margin || a.index - b.index);
}
