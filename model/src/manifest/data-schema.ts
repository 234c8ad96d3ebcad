import { z } from 'zod';
import { durationSchema } from './duration.ts';

/** Selection of the labelled rows for training and for evaluation. */
export const dataSchema = z
  .strictObject({
    split: z
      .enum(['time', 'entity', 'time_and_entity'])
      .default('time')
      .describe(
        'The holdout is the newest predictions, those of some entities, or the newest of some entities',
      ),
    entity: z
      .string()
      .optional()
      .describe('The entity (such as user) that must not be on both sides; required by the splits by entity'),
    frozen: z
      .number()
      .min(0)
      .lt(0.9)
      .default(0)
      .describe('Share of entities (or predictions) that is used only for evaluation, never for training'),
    max_age: durationSchema.optional().describe('Older predictions are left out'),
    max_rows: z.int().min(1).optional().describe('Maximum number of labelled rows; the newest are used'),
    replay: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe(
        'Train on the rows that are new since the parent was trained, with this share of older rows mixed in',
      ),
    max_per_source: z
      .number()
      .gt(0)
      .max(1)
      .optional()
      .describe('Largest share of the training rows whose label comes from one source'),
    propensity: z
      .strictObject({ clip: z.number().min(1).default(10) })
      .optional()
      .describe('Weigh shown rows by 1 / propensity, at most clip'),
    classes: z.enum(['as_they_are', 'balanced']).default('as_they_are').describe('Weights of the classes'),
    validation: z
      .number()
      .gt(0)
      .max(0.5)
      .optional()
      .describe(
        'Share of the training predictions, the newest (or of the entities), that decides when to stop. Default: 0.1 with patience',
      ),
    folds: z
      .int()
      .min(2)
      .max(20)
      .optional()
      .describe('Folds of the cross-validation that replaces a holdout of less than min_examples rows'),
  })
  .superRefine((data, context) => {
    if (data.split !== 'time' && data.entity === undefined)
      context.addIssue({
        code: 'custom',
        path: ['entity'],
        message: `split ${data.split} needs the entity by which rows are divided, such as user`,
      });
  })
  .describe('Selection of the labelled rows for training and for evaluation');

export type DataSpec = z.output<typeof dataSchema>;
