import { z } from 'zod';
import { durationSchema } from './duration.ts';
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
  })
  .describe('What is written to the prediction log');
