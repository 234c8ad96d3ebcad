import { z } from 'zod';
import { durationSchema } from '../manifest/duration.ts';

const PATH = '[A-Za-z_][A-Za-z0-9_]*';
/**
 * Where a feature comes from:
 * request.FIELD, item.FIELD (attribute of a candidate), entity.NAME,
 * history.ENTITY.EVENT.count | sum(FIELD) | mean(FIELD) | last(N).FIELD | seconds_since.
 */
export const SOURCE_PATTERN = new RegExp(
  `^(request\\.${PATH}|item\\.${PATH}|entity\\.${PATH}|` +
    `history\\.${PATH}\\.${PATH}\\.(count|seconds_since|sum\\(${PATH}\\)|mean\\(${PATH}\\)|last\\([1-9][0-9]{0,2}\\)\\.${PATH}))$`,
);

/** One step from a raw value to numbers. A step that widens (one_hot, hash with several values) makes several columns. */
export const transformSchema = z.union([
  z.literal('log1p').describe('sign(x) * ln(1 + |x|)'),
  z.literal('abs'),
  z.strictObject({ standardize: z.strictObject({ mean: z.number(), std: z.number().positive() }) }),
  z
    .strictObject({ scale: z.strictObject({ min: z.number(), max: z.number() }) })
    .describe('(x - min) / (max - min)'),
  z.strictObject({ clip: z.tuple([z.number(), z.number()]) }),
  z
    .strictObject({ bucketize: z.array(z.number()).min(1).max(1000) })
    .describe('Index of the bucket, boundaries ascending'),
  z.strictObject({
    one_hot: z
      .array(z.union([z.string(), z.number(), z.boolean()]))
      .min(1)
      .max(10_000),
  }),
  z
    .strictObject({
      hash: z
        .int()
        .min(2)
        .max(2 ** 31 - 1),
    })
    .describe('FNV-1a 32 of the text, modulo'),
]);

export const featureSchema = z
  .strictObject({
    name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/, 'must be letters, digits and _, at most 63'),
    from: z
      .string()
      .regex(SOURCE_PATTERN, 'must be request.X, item.X, entity.X or history.ENTITY.EVENT.FUNCTION'),
    type: z
      .enum(['number', 'text', 'flag'])
      .optional()
      .describe('Default: text before one_hot or hash, otherwise number'),
    missing: z
      .union([z.number(), z.string(), z.boolean()])
      .optional()
      .describe('Value when absent; without it the feature is required'),
    range: z.tuple([z.number(), z.number()]).optional().describe('Raw values outside are refused'),
    window: durationSchema.optional().describe('history only: how far back'),
    max_age: durationSchema
      .optional()
      .describe('history only: older than this is stale, and the missing value is used'),
    transform: z.array(transformSchema).default([]),
  })
  .describe('One column of the input, or several after one_hot');

export type Feature = z.output<typeof featureSchema>;
export type Transform = z.output<typeof transformSchema>;
