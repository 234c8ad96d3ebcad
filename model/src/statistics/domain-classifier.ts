import { weightedRocAuc } from './area-under-curve.ts';
import { fitLogistic, logisticProbability } from './logistic-regression.ts';

export interface DomainDifference {
  /** AUC on rows that were not used for training: 0.5: cannot distinguish the two samples; 1: always can. */
  readonly auc: number;
  /** Standard error of the AUC under the hypothesis of no difference (Mann-Whitney). */
  readonly error: number;
  /** Columns by the size of their standardized weight, largest first; as shares of the sum. */
  readonly columns: readonly { readonly column: number; readonly share: number }[];
  readonly rows: number;
}

/**
 * Whether a model can distinguish two samples of rows: a logistic regression on the columns and their squared
 * distances from the mean. It detects changes of means and spreads, in single or several columns, but not a change of
 * correlation alone. Every other row of each sample is used for training, the rest is scored. Null for fewer than 100
 * rows in either.
 *
 * @param before rows x columns, row-major, without NaN; so is `now`.
 */
export function domainDifference(
  before: Float64Array,
  now: Float64Array,
  columns: number,
): DomainDifference | null {
  const [n, m] = [before.length / columns, now.length / columns];
  if (columns === 0 || n < 100 || m < 100) return null;
  const width = columns * 2;
  const train = new Rows(width);
  const test = new Rows(width);
  const means = new Float64Array(columns);
  for (let at = 0; at < before.length; at++) means[at % columns]! += before[at]! / n;
  for (const [label, sample, count] of [
    [0, before, n],
    [1, now, m],
  ] as const)
    for (let row = 0; row < count; row++) {
      const target = row % 2 === 0 ? train : test;
      for (let column = 0; column < columns; column++) {
        const value = sample[row * columns + column]!;
        target.values.push(value, (value - means[column]!) ** 2);
      }
      target.labels.push(label);
    }
  const model = fitLogistic(train.values, width, train.labels, { steps: 200 });
  const scores = test.labels.map((_label, row) => logisticProbability(model, test.values, row * width));
  const positives = test.labels.reduce((sum, label) => sum + label, 0);
  const negatives = test.labels.length - positives;
  const sizes = Array.from({ length: columns }, (_v, column) =>
    Math.hypot(model.weights[column * 2]!, model.weights[column * 2 + 1]!),
  );
  const total = sizes.reduce((sum, size) => sum + size, 0) || 1;
  return {
    auc: weightedRocAuc(
      scores,
      test.labels,
      test.labels.map((label) => 1 - label),
    ),
    error: Math.sqrt((positives + negatives + 1) / (12 * positives * negatives)),
    columns: sizes.map((size, column) => ({ column, share: size / total })).sort((a, b) => b.share - a.share),
    rows: n + m,
  };
}

class Rows {
  readonly width: number;
  readonly values: number[] = [];
  readonly labels: number[] = [];

  constructor(width: number) {
    this.width = width;
  }
}
