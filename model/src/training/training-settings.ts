import type { Manifest, TrainingSpec } from '../manifest/manifest.ts';
import { type Loss, trainingSchema } from '../manifest/training-schema.ts';
import { trainableTask } from './trainable-task.ts';

/**
 * `binary_cross_entropy`: output [N] or [N, 1] of probabilities, labels in [0, 1].
 * `cross_entropy`: output [N, C] of probabilities, labels are class numbers 0 .. C-1.
 * `mean_squared_error`: output [N] or [N, 1], labels any number.
 */
export type LossName = 'binary_cross_entropy' | 'cross_entropy' | 'mean_squared_error';

/**
 * `adam`: Kingma and Ba 2015, with bias correction and, when `weightDecay` is above 0, decoupled decay (Loshchilov and
 * Hutter 2019). `sgd`: plain gradient descent. Decay works on weights of two or more axes, not on biases.
 */
export type Optimizer =
  | {
      readonly kind: 'adam';
      readonly beta1?: number;
      readonly beta2?: number;
      readonly epsilon?: number;
      readonly weightDecay?: number;
    }
  | { readonly kind: 'sgd'; readonly weightDecay?: number };

/**
 * Which weights are trained: all of them, those named, or those at or after the n-th matrix product (MatMul or Gemm)
 * counted from the end, which is what "the last n layers" means for a network of such layers.
 */
export type Trainable = 'all' | readonly string[] | { readonly last: number };

export interface TrainingSettings {
  readonly loss: LossName;
  /** The output the loss is taken of. Default: the model's first. */
  readonly output?: string;
  readonly optimizer: Optimizer;
  readonly learningRate: number;
  readonly trainable: Trainable;
  /** Passes over the data, at most. */
  readonly epochs: number;
  /** Examples per update. */
  readonly batch: number;
  /** Decides the order of examples and which of them validate: the same seed, model and data give the same bytes. */
  readonly seed: number;
  /** Share of the examples, drawn by the seed, that is not learnt from but judges when to stop. 0: none. */
  readonly validationFraction: number;
  /**
   * Epochs in a row without a smaller validation loss after which training stops. Absent, or without examples that
   * validate: all epochs run.
   */
  readonly patience?: number;
  /** Threads of the runtime. Default: 1, which is fastest for small models and always gives the same bytes. */
  readonly threads?: number;
}

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
