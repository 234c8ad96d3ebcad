import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { trainableTask } from '@hotloop/model/training/trainable-task.ts';
import type { DatasetPart } from '../datasets/dataset.ts';
import type { GateCheck } from './gate.ts';
import type { Scores } from './measure.ts';

/** How certain the excess must be: one-sided 95 %. */
const CERTAINTY = 1.645;

export interface SuspectedInput {
  readonly manifest: Manifest;
  /** Rows that are learnt from, or a part of them, and what the live version says of them. */
  readonly training: DatasetPart;
  readonly onTraining: Scores;
  /** The frozen holdout, whose labels give the thresholds. */
  readonly frozen: DatasetPart;
  readonly onFrozen: Scores;
  /** Largest excess. */
  readonly limit: number;
}

/**
 * Whether more labels that are learnt from look wrong than labels of the frozen holdout: a guard against labels that somebody tampers
 * with. A label looks wrong when the live version gives another class at least the mean probability that this class has among the frozen
 * rows labelled so (confident learning, Northcutt et al. 2021, equation 1), and more than the label's. A real change of the world is in
 * both shares. Classes only; empty for other tasks, and where the outputs are no probabilities. Pure.
 */
export function suspectedCheck(input: SuspectedInput): GateCheck[] {
  const { manifest, training, frozen, limit } = input;
  const task = trainableTask(manifest);
  if ((task !== 'binary' && task !== 'multiclass') || training.rows === 0 || frozen.rows === 0) return [];
  const reference = probabilities(input.onFrozen, frozen.rows);
  const given = probabilities(input.onTraining, training.rows);
  if (reference === null || given === null) return [];
  const thresholds = thresholdsOf(reference, frozen.labels);
  const share = (rows: readonly ArrayLike<number>[], labels: Float32Array) =>
    rows.filter((row, index) => looksWrong(row, labels[index]!, thresholds)).length / rows.length;
  const [now, before] = [share(given, training.labels), share(reference, frozen.labels)];
  const error = Math.sqrt((before * (1 - before)) / frozen.rows + (now * (1 - now)) / training.rows);
  const isTooMany = now - before - CERTAINTY * error > limit;
  const percent = (value: number) => `${(100 * value).toFixed(1)} %`;
  return [
    {
      ...{ name: 'suspected labels', candidate: now, against: before + limit, examples: training.rows },
      interval: { low: now - before - CERTAINTY * error, high: now - before + CERTAINTY * error },
      outcome: isTooMany ? 'failed' : 'passed',
      message: isTooMany
        ? `${percent(now)} of the labels to learn from look wrong, ${percent(before)} of the frozen ones: look at them with ` +
          '`hotloop predictions export --suspected` before anything learns from them'
        : `${percent(now)} of the labels to learn from look wrong, ${percent(before)} of the frozen ones`,
    },
  ];
}

function probabilities({ columns, values }: Scores, rows: number): ArrayLike<number>[] | null {
  if (values.some((value) => !(value >= 0 && value <= 1))) return null;
  return Array.from({ length: rows }, (_, row) => {
    const own = values.subarray(row * columns, (row + 1) * columns);
    return columns > 1 ? own : [1 - own[0]!, own[0]!];
  });
}

function thresholdsOf(rows: readonly ArrayLike<number>[], labels: Float32Array): number[] {
  const classes = rows[0]?.length ?? 0;
  const sums = new Array<number>(classes).fill(0);
  const counts = new Array<number>(classes).fill(0);
  for (const [index, row] of rows.entries()) {
    const label = Math.round(labels[index]!);
    sums[label] = (sums[label] ?? 0) + (row[label] ?? 0);
    counts[label] = (counts[label] ?? 0) + 1;
  }
  return sums.map((sum, label) => (counts[label] === 0 ? Number.POSITIVE_INFINITY : sum / counts[label]!));
}

function looksWrong(row: ArrayLike<number>, label: number, thresholds: readonly number[]): boolean {
  const own = row[Math.round(label)] ?? 0;
  return thresholds.some(
    (threshold, other) => other !== Math.round(label) && row[other]! >= threshold && row[other]! > own,
  );
}
