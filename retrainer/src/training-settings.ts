import { type Loss, type Manifest, type TrainingSpec, trainingSchema } from '@hotloop/proto/manifest.ts';
import { trainableTask } from './measure.ts';
import type { TrainingSettings } from './training/train.ts';

/** Share of the training rows that decides when to stop, where patience is declared. */
const VALIDATION_SHARE = 0.1;

/** The declared training section, or the defaults. */
export function trainingSpec(manifest: Manifest): TrainingSpec {
  return manifest.training ?? trainingSchema.parse({});
}

/** What the trainer is told, out of a manifest. Throws FAILED_PRECONDITION for a model that cannot be trained. */
export function trainingSettings(manifest: Manifest): TrainingSettings {
  const spec = trainingSpec(manifest);
  const { optimizer, patience } = spec;
  return {
    loss: spec.loss ?? defaultLoss(manifest),
    ...(manifest.output === undefined ? {} : { output: manifest.output }),
    optimizer:
      'adam' in optimizer
        ? {
            kind: 'adam',
            beta1: optimizer.adam.beta1,
            beta2: optimizer.adam.beta2,
            epsilon: optimizer.adam.epsilon,
            weightDecay: optimizer.adam.weight_decay,
          }
        : { kind: 'sgd' },
    learningRate: 'adam' in optimizer ? optimizer.adam.learning_rate : optimizer.sgd.learning_rate,
    trainable: spec.trainable,
    epochs: spec.epochs,
    batch: spec.batch,
    seed: spec.seed,
    validationFraction: patience === undefined ? 0 : VALIDATION_SHARE,
    ...(patience === undefined ? {} : { patience }),
  };
}

function defaultLoss(manifest: Manifest): Loss {
  switch (trainableTask(manifest)) {
    case 'binary':
    case 'ranking':
      return 'binary_cross_entropy';
    case 'multiclass':
      return 'cross_entropy';
    case 'regression':
      return 'mean_squared_error';
  }
}
