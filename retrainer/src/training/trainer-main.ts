import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TrainingSettings } from '@hotloop/model/training/training-settings.ts';
import { serveJob } from './serve-job.ts';
import { type TrainingProgress, train } from './train.ts';
import { type TrainerDone, trainerFiles } from './trainer-protocol.ts';
import { decodeTrainingDataset } from './training-dataset.ts';

// The training process: one job, then the end. Started by `trainInProcess`, never by hand.

await serveJob<TrainingProgress, TrainerDone>(async (directory, onProgress) => {
  const settings = JSON.parse(
    await readFile(join(directory, trainerFiles.settings), 'utf8'),
  ) as TrainingSettings;
  const model = await readFile(join(directory, trainerFiles.model));
  const dataset = decodeTrainingDataset(await readFile(join(directory, trainerFiles.dataset)));
  const { modelBytes, metrics } = await train(model, dataset, settings, { onProgress });
  await writeFile(join(directory, trainerFiles.trained), modelBytes);
  return { metrics, sha256: createHash('sha256').update(modelBytes).digest('hex') };
});
