import { z } from 'zod';
import { durationSchema } from './duration.ts';

/** When a run starts by itself. Any of the conditions is enough; `cooldown` and `per_day` hold back. */
export const triggerSchema = z
  .strictObject({
    labels: z.int().min(1).optional().describe('So many new labels since the last dataset'),
    every: durationSchema.optional().describe('So long after the last run'),
    decay: z
      .boolean()
      .optional()
      .describe('Monitoring has measured, with labels, that the live version got worse'),
    drift: z
      .boolean()
      .optional()
      .describe(
        'Features have drifted, and monitoring measures or estimates a loss by it; drift alone is not enough',
      ),
    cooldown: durationSchema.optional().describe('Least time between two runs that start by themselves'),
    per_day: z.int().min(1).optional().describe('Most runs that start by themselves in 24 hours'),
  })
  .describe('When a run starts by itself');

export type TriggerSpec = z.output<typeof triggerSchema>;
