import { z } from 'zod';
import { durationSchema } from './duration.ts';
import { expressionSchema } from './schema-parts.ts';

export const outcomeSchema = z
  .strictObject({
    from: z
      .string()
      .regex(/^(kafka:[A-Za-z0-9._-]{1,249}|sdk)$/, 'must be sdk or kafka:TOPIC')
      .default('sdk'),
    join: z.array(z.string().min(1)).min(1).optional().describe('Keys that match an outcome to predictions'),
    positive: expressionSchema.optional().describe('Judges an event: true is label 1, false is no label'),
    label: expressionSchema.optional().describe('The label of an event, instead of positive'),
    window: durationSchema.default('7d').describe('How long after the prediction an outcome counts'),
    otherwise: z
      .union([z.number(), z.string()])
      .optional()
      .describe('Label of a prediction unanswered when its window ends'),
    corrections: z
      .strictObject({
        approvals: z
          .union([z.literal(0), z.literal(1)])
          .default(0)
          .describe('1: an upload counts only after another key than the one that sent it has approved it'),
      })
      .optional(),
  })
  .describe('Where the truth comes from');
