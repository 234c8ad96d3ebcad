import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { type TrainableTask, trainableTask } from '@hotloop/model/training/trainable-task.ts';
import type { DatasetPart } from '../datasets/dataset.ts';
import type { Scores } from './measure.ts';

/**
 * What the best constant prediction answers for `rows` rows: the share of positives (binary, ranking), the mean (regression) or the
 * shares of the classes, all of the rows that were learnt from, by weight. Null without such rows.
 *
 * @param columns outputs of the model a row.
 */
export function constantScores(
  manifest: Manifest,
  training: DatasetPart,
  rows: number,
  columns: number,
): Scores | null {
  const one = constantRow(trainableTask(manifest), training, Math.max(1, columns));
  if (one === null) return null;
  const values = new Float32Array(rows * one.length);
  for (let row = 0; row < rows; row++) values.set(one, row * one.length);
  return { columns: one.length, values };
}

function constantRow(
  task: TrainableTask,
  { labels, weights }: DatasetPart,
  columns: number,
): number[] | null {
  let [sum, total] = [0, 0];
  const counts = new Array<number>(columns).fill(0);
  for (let row = 0; row < labels.length; row++) {
    const [label, weight] = [labels[row]!, weights[row]!];
    total += weight;
    sum += weight * (task === 'regression' || task === 'multiclass' ? label : label > 0.5 ? 1 : 0);
    if (label >= 0 && label < columns) counts[Math.trunc(label)]! += weight;
  }
  if (!(total > 0)) return null;
  if (task === 'multiclass') return counts.map((count) => count / total);
  const mean = sum / total;
  if (columns === 1 || task === 'regression') return new Array<number>(columns).fill(mean);
  return [...new Array<number>(columns - 1).fill(1 - mean), mean];
}
