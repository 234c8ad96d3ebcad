import { z } from 'zod';
import { dataSchema } from './data-schema.ts';
import { GATE_DEFAULTS, gateSchema } from './gate-schema.ts';
import { searchSchema } from './search-schema.ts';
import { trainerSchema } from './trainer-schema.ts';
import { triggerSchema } from './trigger-schema.ts';

export const LOSSES = [
  'binary_cross_entropy',
  'cross_entropy',
  'mean_squared_error',
  'mean_absolute_error',
  'huber',
  'quantile',
  'bpr',
  'listwise_softmax',
] as const;
export type Loss = (typeof LOSSES)[number];

const smoothing = z.number().min(0).lt(1).optional();

const lossSchema = z.union([
  z.enum(LOSSES),
  z.strictObject({
    binary_cross_entropy: z.strictObject({
      positive_weight: z.number().positive().optional().describe('Weight of a positive example'),
      label_smoothing: smoothing,
    }),
  }),
  z.strictObject({
    cross_entropy: z.strictObject({
      class_weights: z.array(z.number().positive()).min(2).optional().describe('One per class'),
      label_smoothing: smoothing,
    }),
  }),
  z.strictObject({
    huber: z.strictObject({
      delta: z
        .number()
        .positive()
        .describe('The error above which the loss grows linearly, in units of the label'),
    }),
  }),
  z.strictObject({ quantile: z.strictObject({ quantile: z.number().gt(0).lt(1) }) }),
]);

const adamSchema = z.strictObject({
  learning_rate: z.number().positive().default(1e-3),
  beta1: z.number().min(0).lt(1).default(0.9),
  beta2: z.number().min(0).lt(1).default(0.999),
  epsilon: z.number().positive().default(1e-8),
  weight_decay: z.number().min(0).default(0),
});

const optimizerSchema = z.union([
  z.strictObject({ adam: adamSchema }),
  z.strictObject({ adamw: adamSchema.extend({ weight_decay: z.number().min(0).default(0.01) }) }),
  z.strictObject({
    sgd: z.strictObject({
      learning_rate: z.number().positive().default(1e-2),
      momentum: z.number().min(0).lt(1).default(0),
      weight_decay: z.number().min(0).default(0),
    }),
  }),
]);

export const trainingSchema = z
  .strictObject({
    loss: lossSchema.optional().describe('Default: by task'),
    optimizer: optimizerSchema.default({
      adam: { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0 },
    }),
    schedule: z
      .strictObject({
        kind: z.enum(['constant', 'linear', 'cosine']).default('constant'),
        warmup: z.int().min(0).default(0).describe('Steps during which the learning rate increases'),
      })
      .optional()
      .describe('Schedule of the learning rate over a run; linear and cosine decrease towards 0'),
    clip_norm: z.number().positive().optional().describe('Maximum norm of a gradient'),
    parent_penalty: z
      .number()
      .positive()
      .optional()
      .describe('Penalty that keeps the weights near those of the version that training starts from'),
    trainable: z.union([z.literal('all'), z.array(z.string().min(1)).min(1)]).default('all'),
    adapters: z
      .strictObject({
        rank: z.int().min(1).max(1024).default(4),
        alpha: z
          .number()
          .positive()
          .optional()
          .describe('Adapters are scaled by alpha / rank; default: rank'),
        weights: z
          .union([z.literal('all'), z.array(z.string().min(1)).min(1)])
          .default('all')
          .describe('Two-dimensional weights that get an adapter'),
      })
      .optional()
      .describe('Low-rank adapters are trained and added to the weights, instead of training the weights'),
    epochs: z.int().min(1).max(10_000).default(3),
    batch: z.int().min(1).max(65_536).default(256),
    seed: z.int().min(0).default(1),
    holdout: z
      .number()
      .gt(0)
      .lt(0.9)
      .default(0.2)
      .describe('Share of the newest labelled predictions kept for the gate'),
    data: dataSchema.default({ split: 'time', frozen: 0, classes: 'as_they_are' }),
    network: z
      .strictObject({
        kind: z
          .enum(['logistic', 'perceptron', 'wide-and-deep', 'factorization-machine', 'two-tower'])
          .default('perceptron')
          .describe('All but the first two give one output; two-tower is for task ranking'),
        factors: z
          .int()
          .min(1)
          .max(1024)
          .default(8)
          .describe('factorization-machine, two-tower and embeddings of ids: length of the vectors'),
        hidden: z
          .array(z.int().min(1).max(16_384))
          .max(16)
          .default([32, 16])
          .describe('Sizes of the hidden layers'),
        activation: z.enum(['relu', 'tanh', 'sigmoid']).default('relu'),
      })
      .optional()
      .describe('The untrained network to start with when model.yaml is pushed without a model.onnx'),
    patience: z
      .int()
      .min(1)
      .optional()
      .describe('Epochs without a better validation loss before training stops'),
    trigger: triggerSchema.optional(),
    trainer: trainerSchema.optional(),
    search: searchSchema.optional(),
    gate: gateSchema.default(GATE_DEFAULTS),
  })
  .describe('How the next version is trained');
