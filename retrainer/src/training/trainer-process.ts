import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TrainingSettings } from '@hotloop/model/training/training-settings.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type JobLimits, runJobProcess } from './job-process.ts';
import type { TrainingMetrics, TrainingProgress } from './train.ts';
import { type TrainerDone, type TrainerProgress, trainerFiles } from './trainer-protocol.ts';
import { type TrainingDataset, writeTrainingDataset } from './training-dataset.ts';

export interface TrainingJob {
  readonly modelBytes: Uint8Array;
  readonly dataset: TrainingDataset;
  readonly settings: TrainingSettings;
}

export interface TrainerOptions extends JobLimits {
  /** Called with the newest report; those that come faster than they can be sent are left out. */
  readonly onProgress?: (progress: TrainingProgress) => void;
  /** A checkpoint of the same training: the training resumes from it. One of another training is ignored. */
  readonly resume?: Uint8Array;
  /** Called with the newest checkpoint, one call at a time. */
  readonly onCheckpoint?: (bytes: Uint8Array) => Promise<void>;
}

export interface TrainerResult {
  readonly modelBytes: Uint8Array;
  /** Of `modelBytes`, in hex. */
  readonly sha256: string;
  readonly metrics: TrainingMetrics;
  /** Most memory of the training process, in MB, where one was started. */
  readonly peakMb?: number;
}

const mainFile = fileURLToPath(new URL('./trainer-main.ts', import.meta.url));

/**
 * Trains in a child process: see `runJobProcess` for when and how it ends.
 *
 * @throws a coded error: what `train` throws, or what `runJobProcess` does.
 */
export function trainInProcess(job: TrainingJob, options: TrainerOptions): Promise<TrainerResult> {
  const { onProgress, onCheckpoint, resume, ...limits } = options;
  let folder = '';
  let saving: Promise<void> | null = null;
  const save = () => {
    if (!onCheckpoint) return;
    // While one is being stored, newer ones are skipped; the next one after that is stored.
    saving ??= readFile(join(folder, trainerFiles.checkpoint))
      .then(onCheckpoint)
      .catch(() => undefined)
      .finally(() => {
        saving = null;
      });
  };
  return runJobProcess<TrainerProgress, TrainerDone, TrainerResult>({
    ...limits,
    onProgress: (progress) => ('checkpoint' in progress ? save() : onProgress?.(progress)),
    activity: 'training',
    mainFile,
    prepare: async (directory) => {
      folder = directory;
      if (resume) await writeFile(join(directory, trainerFiles.resume), resume);
      await writeFile(join(directory, trainerFiles.model), job.modelBytes);
      await writeTrainingDataset(join(directory, trainerFiles.dataset), job.dataset);
      await writeFile(join(directory, trainerFiles.settings), JSON.stringify(job.settings));
    },
    collect: async (directory, { metrics, sha256, peakMb }) => {
      await saving;
      const modelBytes = new Uint8Array(await readFile(join(directory, trainerFiles.trained)));
      if (createHash('sha256').update(modelBytes).digest('hex') !== sha256) {
        throw new HotloopError('DATA_LOSS', 'the trained model changed on its way from the training process');
      }
      return { modelBytes, sha256, metrics, peakMb };
    },
  });
}
