import { z } from 'zod';
import { nameSchema } from './schema-parts.ts';

const MOST_STEPS = 16;

/** Models that run first; their answers become fields of the request. */
export const pipelineSchema = z
  .array(
    z.strictObject({
      model: nameSchema.describe('The model that runs'),
      version: z
        .int()
        .min(1)
        .describe('Its version, so that a promotion or a rollback switches all steps together'),
      as: z
        .string()
        .regex(/^[a-z][a-z0-9_]{0,62}$/, 'must be a name of lower-case letters, digits and _')
        .describe('Features read the answer as request.AS_score, request.AS_label and request.AS_scores'),
    }),
  )
  .min(1)
  .max(MOST_STEPS)
  .refine((steps) => new Set(steps.map((step) => step.as)).size === steps.length, {
    message: 'two steps have the same name (as)',
  });

export type PipelineStep = z.output<typeof pipelineSchema>[number];

/** The fields of a request that a step's answer sets. */
export function stepFields(as: string): readonly string[] {
  return [`${as}_score`, `${as}_label`, `${as}_scores`];
}
