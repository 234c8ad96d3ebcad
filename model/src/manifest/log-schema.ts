import { z } from 'zod';
import { durationMs, durationSchema } from './duration.ts';
import { fractionSchema } from './schema-parts.ts';

export const logSchema = z
  .strictObject({
    durability: z.enum(['process', 'disk']).default('process'),
    sample: fractionSchema.default(1).describe('Share of predictions whose tensors are logged'),
    redact: z
      .array(z.string().min(1))
      .default([])
      .describe(
        "Features, entities, inputs or outputs kept out of the log, by name. An input's name hides the whole input, with all features in it",
      ),
    retention: durationSchema.default('90d'),
    retention_of: z
      .record(z.string().min(1), durationSchema)
      .default({})
      .describe(
        'Fields that leave the log before the rest of their row: names of entities, `inputs` (all logged inputs of the prediction) and `outputs`',
      ),
  })
  .superRefine(({ retention, retention_of }, context) => {
    for (const [field, own] of Object.entries(retention_of))
      if (durationMs(own) > durationMs(retention))
        context.addIssue({
          code: 'custom',
          path: ['retention_of', field],
          message: `must not be longer than retention (${retention})`,
        });
  })
  .describe('What is written to the prediction log');
