import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { LabelledExample } from '../datasets/join.ts';

export interface AnsweredRow {
  readonly rows: number;
  /** The evaluated output, row major. */
  readonly numbers: Float64Array;
  /** Known labels by row. */
  readonly labels: ReadonlyMap<number, number>;
}

export interface QualityOptions {
  /** regression: the mean absolute deviation of the labels. */
  readonly deviation: number;
  /** True if both versions answered the same request, and only one answer was shown. */
  readonly isPaired: boolean;
}

/**
 * Quality of one answer, from 0 to 1; null if it is unknown.
 * binary: right or wrong at the threshold where the gate's metric is accuracy, else 1 - (p - label)^2 (Brier). multiclass: right or wrong.
 * regression: 1 / (1 + |error| / mean deviation of the labels). ranking: whether any shown item was a success; if both versions
 * answered the same request, the reciprocal rank of the first success. Pure.
 */
export function answerQuality(
  manifest: Manifest,
  answer: AnsweredRow,
  options: QualityOptions,
): number | null {
  const { rows, numbers, labels } = answer;
  const columns = rows === 0 ? 0 : numbers.length / rows;
  if (!Number.isInteger(columns) || columns < 1) return null;
  if (manifest.task === 'ranking')
    return options.isPaired ? reciprocalRank(numbers, columns, labels) : anySuccess(labels);
  const label = labels.get(0);
  if (label === undefined) return null;
  const score = numbers[columns - 1] ?? 0;
  switch (manifest.task) {
    case 'multiclass':
      return largestAt(numbers, columns) === label ? 1 : 0;
    case 'regression':
      return 1 / (1 + Math.abs(score - label) / Math.max(options.deviation, 1e-12));
    default: {
      if (manifest.training?.gate.metric === 'accuracy') {
        const threshold = manifest.decision.threshold ?? 0.5;
        return score >= threshold === label >= 0.5 ? 1 : 0;
      }
      return 1 - (Math.min(1, Math.max(0, score)) - label) ** 2;
    }
  }
}

/** The scale of errors: the mean absolute deviation of the labels from their mean. */
export function deviationOf(
  manifest: Manifest,
  labels: ReadonlyMap<string, readonly LabelledExample[]>,
): number {
  if (manifest.task !== 'regression') return 1;
  const values = [...labels.values()].flatMap((examples) => examples.map(({ label }) => label));
  if (values.length === 0) return 1;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + Math.abs(value - mean), 0) / values.length;
}

function anySuccess(labels: ReadonlyMap<number, number>): number {
  return [...labels.values()].some((label) => label > 0) ? 1 : 0;
}

function reciprocalRank(
  numbers: Float64Array,
  columns: number,
  labels: ReadonlyMap<number, number>,
): number | null {
  const successes = [...labels].filter(([, label]) => label > 0).map(([row]) => row);
  if (successes.length === 0) return null;
  const scoreOf = (row: number) => numbers[row * columns + columns - 1] ?? Number.NEGATIVE_INFINITY;
  const best = Math.max(...successes.map(scoreOf));
  let rank = 1;
  for (let row = 0; row * columns < numbers.length; row++) if (scoreOf(row) > best) rank++;
  return 1 / rank;
}

function largestAt(numbers: Float64Array, columns: number): number {
  let at = 0;
  for (let column = 1; column < columns; column++)
    if ((numbers[column] ?? 0) > (numbers[at] ?? 0)) at = column;
  return at;
}
