import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { trainableTask } from '@hotloop/model/training/trainable-task.ts';
import { trainingSpec } from '@hotloop/model/training/training-settings.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type DatasetPart, rowsBetween } from '../datasets/dataset.ts';
import type { JobLimits } from '../training/job-process.ts';
import { gateMetric, LARGER_IS_BETTER } from './gate.ts';
import { measureAll } from './measure.ts';
import type { Trainer } from './trainer.ts';

/** Share of the newest training rows that judges trials. The holdout stays unseen: it judges the winner alone. */
const VALIDATION = 0.2;

/** Divides the rows that are learnt from: the newest predictions judge the trials of a search. */
export function splitForTrials(training: DatasetPart): {
  readonly fit: DatasetPart;
  readonly judge: DatasetPart;
} {
  const target = Math.max(1, Math.floor(training.rows * (1 - VALIDATION)));
  let first = target;
  // Rows of one prediction stay together.
  while (first < training.rows && training.groups[first] === training.groups[first - 1]) first++;
  return { fit: rowsBetween(training, 0, first), judge: rowsBetween(training, first, training.rows) };
}

/** The metrics of a trial on the rows that judge it; `trial_loss` is smaller for a better one. */
export async function judgeTrial(
  manifest: Manifest,
  modelBytes: Uint8Array,
  judge: DatasetPart,
  trainer: Trainer,
  limits: JobLimits,
): Promise<Record<string, number>> {
  const metric = gateMetric(trainableTask(manifest), trainingSpec(manifest).gate.metric);
  const output = manifest.output === undefined ? {} : { output: manifest.output };
  const [scores] = await trainer.score({ models: [modelBytes], dataset: judge, ...output }, limits);
  if (!scores) throw new HotloopError('INTERNAL', 'the scores of the trial were asked for');
  const measured = measureAll(manifest, metric, scores, judge);
  const value = measured.get(metric) ?? Number.NaN;
  const metrics = [...measured, ['trial_loss', LARGER_IS_BETTER[metric] ? -value : value] as const];
  return Object.fromEntries(metrics.filter(([, one]) => Number.isFinite(one)));
}
