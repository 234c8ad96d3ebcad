import type { Metric } from '@hotloop/model/manifest/gate-schema.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { type TrainableTask, trainableTask } from '@hotloop/model/training/trainable-task.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { DatasetPart } from '../datasets/dataset.ts';
import * as metrics from '../training/metrics.ts';
import type { ModelScores } from '../training/score-model.ts';

const TOP_K = 10;

/** Raw outputs, so many values a row. */
export type Scores = Pick<ModelScores, 'columns' | 'values'>;

const OF_TASK: Record<TrainableTask, readonly Metric[]> = {
  binary: ['auc', 'log_loss', 'accuracy'],
  multiclass: ['log_loss', 'accuracy'],
  regression: ['rmse'],
  ranking: ['ndcg', 'auc', 'log_loss'],
};

/** Every metric that fits the task and has a value on these rows, by name, with the one asked for in any case. */
export function measureAll(
  manifest: Manifest,
  wanted: Metric,
  scores: Scores,
  part: DatasetPart,
): Map<Metric, number> {
  const task = trainableTask(manifest);
  const measured = new Map(
    [...new Set([wanted, ...OF_TASK[task]])].map((metric) => [
      metric,
      measure(manifest, metric, scores, part),
    ]),
  );
  for (const [metric, value] of measured)
    if (metric !== wanted && !Number.isFinite(value)) measured.delete(metric);
  return measured;
}

/** One metric of raw outputs; NaN where it is undefined. Throws INVALID_ARGUMENT for one that does not fit the task. */
export function measure(manifest: Manifest, metric: Metric, scores: Scores, part: DatasetPart): number {
  const { labels, groups } = part;
  if (trainableTask(manifest) === 'multiclass') {
    if (metric === 'log_loss') return metrics.multiclassLogLoss(scores.values, labels, scores.columns);
    if (metric === 'accuracy') return metrics.multiclassAccuracy(scores.values, labels, scores.columns);
    throw misfit(manifest, metric);
  }
  const values = singleScores(scores, labels.length);
  switch (metric) {
    case 'auc':
      return metrics.rocAuc(values, labels);
    case 'log_loss':
      return metrics.logLoss(values, labels);
    case 'accuracy':
      return metrics.accuracy(values, labels, manifest.decision.threshold);
    case 'rmse':
      return metrics.rmse(values, labels);
    case 'ndcg':
      return metrics.ndcg(values, labels, groups, manifest.decision.rank?.top_k ?? TOP_K);
  }
}

/** One score a row: the only column, or of two (negative, positive) the second. */
export function singleScores({ columns, values }: Scores, rows: number): Float32Array {
  if (columns <= 1) return values;
  return Float32Array.from({ length: rows }, (_, row) => values[row * columns + columns - 1]!);
}

function misfit(manifest: Manifest, metric: Metric): HotloopError {
  return new HotloopError(
    'INVALID_ARGUMENT',
    `training.gate.metric: ${metric} does not fit the task ${manifest.task} of model ${manifest.name}`,
    { reason: 'invalid_manifest' },
  );
}
