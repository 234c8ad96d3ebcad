import { z } from 'zod';
import { dataSchema } from './data-schema.ts';
import { GATE_DEFAULTS, gateSchema } from './gate-schema.ts';
import { searchSchema } from './search-schema.ts';
import { trainerSchema } from './trainer-schema.ts';
import { triggerSchema } from './trigger-schema.ts';

export const LOSSES = ['binary_cross_entropy', 'cross_entropy', 'mean_squared_error'] as const;
export type Loss = (typeof LOSSES)[number];

export const trainingSchema = z
  .strictObject({
    loss: z.enum(LOSSES).optional().describe('Default: by task'),
    optimizer: z
      .union([
        z.strictObject({
          adam: z.strictObject({
            learning_rate: z.number().positive().default(1e-3),
            beta1: z.number().min(0).lt(1).default(0.9),
            beta2: z.number().min(0).lt(1).default(0.999),
            epsilon: z.number().positive().default(1e-8),
            weight_decay: z.number().min(0).default(0),
          }),
        }),
        z.strictObject({ sgd: z.strictObject({ learning_rate: z.number().positive().default(1e-2) }) }),
      ])
      .default({ adam: { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0 } }),
    trainable: z.union([z.literal('all'), z.array(z.string().min(1)).min(1)]).default('all'),
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
        hidden: z
          .array(z.int().min(1).max(16_384))
          .max(16)
          .default([32, 16])
          .describe('Sizes of the hidden layers'),
        activation: z.enum(['relu', 'tanh', 'sigmoid']).default('relu'),
      })
      .optional()
      .describe('The untrained network to begin with when model.yaml is pushed without a model.onnx'),
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
  .describe('How the next version is learnt');
