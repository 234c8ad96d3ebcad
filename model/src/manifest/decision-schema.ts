import { z } from 'zod';
import { expressionSchema, fractionSchema } from './schema-parts.ts';

export const decisionSchema = z
  .strictObject({
    threshold: fractionSchema
      .default(0.5)
      .describe('binary: at or above it the positive label is chosen; multilabel: each label at or above it'),
    labels: z
      .array(z.string().min(1))
      .min(2)
      .optional()
      .describe('binary: [negative, positive]; multiclass and multilabel: one per class'),
    combine: expressionSchema.optional().describe('Final score from score, request, item and entities'),
    rank: z
      .strictObject({
        top_k: z.int().min(1).max(10_000).default(10),
        exclude: z.string().optional().describe('A history path whose values are not shown again'),
      })
      .optional(),
    explore: z
      .strictObject({ epsilon: fractionSchema.default(0) })
      .optional()
      .describe('Share of decisions whose order is drawn at random, with known propensity'),
  })
  .describe('From raw output to decision');
