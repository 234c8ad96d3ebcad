import type { Manifest, TrainingSpec } from '../manifest/manifest.ts';
import { type Loss, trainingSchema } from '../manifest/training-schema.ts';
import { trainableTask } from './trainable-task.ts';

/**
 * `binary_cross_entropy`: output [N] or [N, 1] of probabilities, labels in [0, 1].
 * `cross_entropy`: output [N, C] of probabilities, labels are class numbers 0 .. C-1.
 * `mean_squared_error`, `mean_absolute_error`, `huber`, `quantile`: output [N] or [N, 1], labels any number.
 * `bpr`, `listwise_softmax`: output [N] or [N, 1] of scores; labels at least 0; rows of one group are ranked among
 * themselves.
 */
export type LossName = Loss;

/** A loss with its options; each option applies to the losses that its comment names. */
export interface LossSpec {
  readonly name: LossName;
  /** Both cross-entropies: the share of each label that is distributed evenly over all classes, from 0 to below 1. */
  readonly labelSmoothing?: number;
  /** `binary_cross_entropy`: weight of a positive example. */
  readonly positiveWeight?: number;
  /** `cross_entropy`: weight of an example of each class. */
  readonly classWeights?: readonly number[];
  /** `huber`: the error above which the loss grows linearly, in the label's units. */
  readonly delta?: number;
  /** `quantile`: the quantile of the label to predict, between 0 and 1. */
  readonly quantile?: number;
}

/** @returns a loss as its name and options. */
export function lossSpec(loss: LossName | LossSpec): LossSpec {
  return typeof loss === 'string' ? { name: loss } : loss;
}

/**
 * `adam`: Kingma and Ba 2015, with bias correction and, when `weightDecay` is above 0, decoupled decay (AdamW,
 * Loshchilov and Hutter 2019). `sgd`: gradient descent, with momentum when it is above 0 (Sutskever et al. 2013, as
 * in PyTorch). Decay applies to weights of two or more axes, not to biases.
 */
export type Optimizer =
  | {
      readonly kind: 'adam';
      readonly beta1?: number;
      readonly beta2?: number;
      readonly epsilon?: number;
      readonly weightDecay?: number;
    }
  | { readonly kind: 'sgd'; readonly momentum?: number; readonly weightDecay?: number };

/**
 * The learning rate over a run: it increases linearly during `warmup` steps, then is constant, or decreases towards
 * 0.
 */
export interface Schedule {
  readonly kind: 'constant' | 'linear' | 'cosine';
  /** Steps. */
  readonly warmup: number;
}

/**
 * The weights that are trained: all of them, the named ones, or those at or after the n-th matrix product (MatMul or
 * Gemm) counted from the end, which for a network of such layers means "the last n layers".
 */
export type Trainable = 'all' | readonly string[] | { readonly last: number };

/** Low-rank adapters, scaled by `alpha / rank`; default alpha: the rank. */
export interface AdapterSettings {
  readonly rank: number;
  readonly alpha?: number | undefined;
  readonly weights: 'all' | readonly string[];
}

export interface TrainingSettings {
  readonly loss: LossName | LossSpec;
  /** The output that the loss is computed from. Default: the model's first. */
  readonly output?: string;
  readonly optimizer: Optimizer;
  readonly learningRate: number;
  /** Default: constant. */
  readonly schedule?: Schedule;
  /** Maximum norm of the gradient; a larger gradient is scaled down. Absent: no limit. */
  readonly clipNorm?: number;
  /** Penalty that keeps the weights near the initial ones: adds this / 2 times the squared distance. */
  readonly parentPenalty?: number;
  readonly trainable: Trainable;
  /** Trains adapters on these weights instead of the weights themselves; `trainable` is ignored then. */
  readonly adapters?: AdapterSettings;
  /** Maximum number of passes over the data. */
  readonly epochs: number;
  /** Examples per update. */
  readonly batch: number;
  /** Determines the order of examples and which of them validate: the same seed, model and data give the same bytes. */
  readonly seed: number;
  /** Share of the examples, drawn by the seed, that is used for early stopping and not for training. 0: none. */
  readonly validationFraction: number;
  /** Number of rows at the end of the dataset that are used for validation, instead of drawn ones. */
  readonly validationRows?: number;
  /**
   * Number of consecutive epochs without a smaller validation loss after which training stops. Absent, or without
   * validation examples: all epochs run.
   */
  readonly patience?: number;
  /** Threads of the runtime. Default: 1, which is fastest for small models and always gives the same bytes. */
  readonly threads?: number;
}

/** Share of the training rows used for early stopping: as declared, or a tenth when patience is declared. */
export function validationShare({ patience, data }: TrainingSpec): number {
  return data.validation ?? (patience === undefined ? 0 : VALIDATION_SHARE);
}

const VALIDATION_SHARE = 0.1;

/** The declared training section, or the defaults. */
export function trainingSpec(manifest: Manifest): TrainingSpec {
  return manifest.training ?? trainingSchema.parse({});
}

/** The trainer's settings from a manifest. Throws FAILED_PRECONDITION for a model that cannot be trained. */
export function trainingSettings(manifest: Manifest): TrainingSettings {
  const spec = trainingSpec(manifest);
  const { optimizer, patience } = spec;
  return {
    loss: spec.loss === undefined ? defaultLoss(manifest) : declaredLoss(spec.loss),
    ...(manifest.output === undefined ? {} : { output: manifest.output }),
    ...declaredOptimizer(optimizer),
    ...(spec.schedule === undefined ? {} : { schedule: spec.schedule }),
    ...(spec.clip_norm === undefined ? {} : { clipNorm: spec.clip_norm }),
    ...(spec.parent_penalty === undefined ? {} : { parentPenalty: spec.parent_penalty }),
    trainable: spec.trainable,
    ...(spec.adapters === undefined ? {} : { adapters: spec.adapters }),
    epochs: spec.epochs,
    batch: spec.batch,
    seed: spec.seed,
    validationFraction: validationShare(spec),
    ...(patience === undefined ? {} : { patience }),
  };
}

function declaredLoss(loss: NonNullable<TrainingSpec['loss']>): LossName | LossSpec {
  if (typeof loss === 'string') return loss;
  const [[name, options]] = Object.entries(loss) as [[LossName, Record<string, unknown>]];
  const { label_smoothing, positive_weight, class_weights, ...rest } = options;
  return {
    name,
    ...rest,
    ...(label_smoothing === undefined ? {} : { labelSmoothing: label_smoothing }),
    ...(positive_weight === undefined ? {} : { positiveWeight: positive_weight }),
    ...(class_weights === undefined ? {} : { classWeights: class_weights }),
  } as LossSpec;
}

function declaredOptimizer(
  spec: TrainingSpec['optimizer'],
): Pick<TrainingSettings, 'optimizer' | 'learningRate'> {
  if ('sgd' in spec) {
    const { learning_rate, momentum, weight_decay } = spec.sgd;
    return { optimizer: { kind: 'sgd', momentum, weightDecay: weight_decay }, learningRate: learning_rate };
  }
  const { learning_rate, beta1, beta2, epsilon, weight_decay } = 'adam' in spec ? spec.adam : spec.adamw;
  return {
    optimizer: { kind: 'adam', beta1, beta2, epsilon, weightDecay: weight_decay },
    learningRate: learning_rate,
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
