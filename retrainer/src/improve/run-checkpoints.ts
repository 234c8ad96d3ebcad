import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { CollectedDataset, DatasetCollector } from '../datasets/dataset-collector.ts';
import type { TrainingRun } from '../runs/run.ts';
import type { RetrainHooks } from './trainer.ts';

export interface CheckpointDependencies {
  readonly checkpoints?: ObjectStore;
  readonly datasets: DatasetCollector;
}

/** The key of a run's newest checkpoint in the model store. */
export function checkpointKey(runId: string): string {
  return `checkpoints/${runId}.bin`;
}

/** Keys of checkpoints in the model store; the first group is the run's id. */
export const CHECKPOINT_KEY = /^checkpoints\/([0-9a-f-]{36})\.bin$/;

/** What an earlier worker of the run left, to resume from. */
export interface KeptTraining {
  readonly dataset: CollectedDataset;
  readonly checkpoint: Uint8Array;
}

/**
 * The dataset and the newest checkpoint of a run whose worker died during training; null where there is none. The trainer ignores
 * a checkpoint of another model, dataset or settings.
 */
export async function keptTraining(
  { runId, token, datasetSha256 }: TrainingRun,
  { checkpoints, datasets }: CheckpointDependencies,
): Promise<KeptTraining | null> {
  if (checkpoints === undefined || token < 2 || datasetSha256 === null) return null;
  try {
    const checkpoint = await checkpoints.get(checkpointKey(runId));
    return { checkpoint, dataset: await datasets.reload(datasetSha256) };
  } catch (error) {
    // Neither is needed: without them the run begins again.
    if (error instanceof HotloopError && (error.code === 'NOT_FOUND' || error.code === 'DATA_LOSS'))
      return null;
    throw error;
  }
}

/** Hooks that store a training's checkpoints. When the store is unavailable the training goes on without. */
export function checkpointing(
  { run }: { readonly run: TrainingRun },
  resume: Uint8Array | undefined,
  { checkpoints }: CheckpointDependencies,
): Pick<RetrainHooks, 'onCheckpoint' | 'resume'> {
  if (checkpoints === undefined) return {};
  return {
    ...(resume === undefined ? {} : { resume }),
    onCheckpoint: (bytes) => checkpoints.put(checkpointKey(run.runId), bytes),
  };
}
