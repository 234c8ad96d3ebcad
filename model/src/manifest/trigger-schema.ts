import { z } from 'zod';
import { durationSchema } from './duration.ts';

/**
 * When a training run starts automatically. Any one of the conditions is enough; `cooldown` and `per_day` limit the
 * runs.
 */
export const triggerSchema = z
  .strictObject({
    labels: z.int().min(1).optional().describe('This many new labels since the last dataset'),
    every: durationSchema.optional().describe('This long after the last run'),
    decay: z
      .boolean()
      .optional()
      .describe('Monitoring has measured with labels that the live version got worse'),
    drift: z
      .boolean()
      .optional()
      .describe(
        'Features have drifted, and monitoring measures or estimates a resulting loss; drift alone is not enough',
      ),
    cooldown: durationSchema.optional().describe('Minimum time between two automatic runs'),
    per_day: z.int().min(1).optional().describe('Maximum number of automatic runs in 24 hours'),
  })
  .describe('When a training run starts automatically');

export type TriggerSpec = z.output<typeof triggerSchema>;
