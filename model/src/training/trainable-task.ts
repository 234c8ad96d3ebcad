import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Manifest, Task } from '../manifest/manifest.ts';

/** Tasks that fine-tuning supports. */
export type TrainableTask = Exclude<Task, 'tensor' | 'multilabel'>;

/** The task of a model that can be trained. Throws FAILED_PRECONDITION for task tensor or multilabel. */
export function trainableTask(manifest: Manifest): TrainableTask {
  if (manifest.task === 'multilabel')
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name} has task multilabel, which is not fine-tuned here; use training.trainer with your own program`,
      { reason: 'not_trainable' },
    );
  if (manifest.task !== 'tensor') return manifest.task;
  throw new HotloopError(
    'FAILED_PRECONDITION',
    `model ${manifest.name} has task tensor; training needs features and an outcome`,
    { reason: 'not_trainable' },
  );
}
