import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Manifest, Task } from '../manifest/manifest.ts';

/** Tasks that fine-tuning knows. */
export type TrainableTask = Exclude<Task, 'tensor' | 'multilabel'>;

/** The task of a model that can be trained. Throws FAILED_PRECONDITION for a bare tensor model. */
export function trainableTask(manifest: Manifest): TrainableTask {
  if (manifest.task === 'multilabel')
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name} has task multilabel, which is not fine-tuned here; use training.trainer, a command of your own`,
      { reason: 'not_trainable' },
    );
  if (manifest.task !== 'tensor') return manifest.task;
  throw new HotloopError(
    'FAILED_PRECONDITION',
    `model ${manifest.name} is served as a bare tensor model; it needs features and an outcome to be trained`,
    { reason: 'not_trainable' },
  );
}
