import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TrainingSettings } from '@hotloop/model/training/training-settings.ts';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts';
import { serveJob } from './serve-job.ts';
import { train } from './train.ts';
import { type TrainerDone, type TrainerProgress, trainerFiles } from './trainer-protocol.ts';
import { openTrainingDataset } from './training-dataset.ts';

// The training process: one job, then the end. Started by `trainInProcess` only.

await serveJob<TrainerProgress, TrainerDone>(async (directory, onProgress) => {
  const settings = JSON.parse(
    await readFile(join(directory, trainerFiles.settings), 'utf8'),
  ) as TrainingSettings;
  const model = await readFile(join(directory, trainerFiles.model));
  const rows = join(directory, trainerFiles.dataset);
  const hash = createHash('sha256').update(model);
  for await (const bytes of createReadStream(rows, { highWaterMark: 1 << 20 })) hash.update(bytes as Buffer);
  const digest = hash.update(JSON.stringify(settings)).digest('hex');
  using dataset = await openTrainingDataset(rows);
  const path = join(directory, trainerFiles.checkpoint);
  const resume = await readCheckpoint(join(directory, trainerFiles.resume), digest);
  const { modelBytes, metrics } = await train(model, dataset, settings, {
    onProgress,
    ...(resume === null ? {} : { resume }),
    onCheckpoint: async (checkpoint) => {
      await writeFile(`${path}.new`, encodeCheckpoint({ ...checkpoint, digest }));
      await rename(`${path}.new`, path);
      onProgress({ checkpoint: true });
    },
  });
  await writeFile(join(directory, trainerFiles.trained), modelBytes);
  return {
    metrics,
    sha256: createHash('sha256').update(modelBytes).digest('hex'),
    peakMb: process.resourceUsage().maxRSS / 1024,
  };
});

/** A checkpoint of this very training; null where there is none, or it is of another or damaged. */
async function readCheckpoint(path: string, digest: string): Promise<Checkpoint | null> {
  try {
    const checkpoint = decodeCheckpoint(await readFile(path));
    return checkpoint.digest === digest ? checkpoint : null;
  } catch {
    return null;
  }
}
