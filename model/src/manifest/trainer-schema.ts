import { z } from 'zod';
import { durationSchema } from './duration.ts';

/** A program that trains instead of Hotloop, for models that are not fine-tuned here. */
export const trainerSchema = z
  .strictObject({
    command: z
      .array(z.string().min(1).max(1000))
      .min(1)
      .max(50)
      .describe('The program and its arguments; names of files in the trainers folder become paths'),
    timeout: durationSchema.default('1h').describe('Time limit, after which the program is killed'),
    memory_mb: z.int().min(16).default(4096).describe('Memory of the program and its children together'),
    settings: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
      .default({})
      .describe('Passed to the program unchanged, in settings.json'),
  })
  .describe('A program that trains instead of Hotloop, for models that are not fine-tuned here');

export type TrainerSpec = z.output<typeof trainerSchema>;
