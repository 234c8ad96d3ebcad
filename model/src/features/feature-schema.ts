import { z } from 'zod';
import { durationSchema } from '../manifest/duration.ts';
import { expressionSchema, fractionSchema } from '../manifest/schema-parts.ts';
import { RAW_TYPES } from './raw-value.ts';
import { parseSource, SOURCE_FORMS, TRANSFORMS } from './registry.ts';

type Schemas<T extends readonly { schema: z.ZodType }[]> = { -readonly [K in keyof T]: T[K]['schema'] };

/** One step from a raw value to numbers. A step such as one_hot produces several columns. */
export const transformSchema = z.union(TRANSFORMS.map(({ schema }) => schema) as Schemas<typeof TRANSFORMS>);

export const DTYPES = ['float32', 'float64', 'int64', 'int32', 'bool', 'string'] as const;
export type Dtype = (typeof DTYPES)[number];

/** Represents NaN in a number feature's `missing`, because JSON has no NaN. */
export const MISSING_NAN = 'NaN';

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;

export const qualitySchema = z.strictObject({
  max_missing: fractionSchema
    .optional()
    .describe('Largest share of predictions without the value; a larger share is reported'),
  outside: z
    .enum(['reject', 'clip', 'default', 'keep'])
    .default('reject')
    .describe(
      'A value outside range or allowed: reject the request, use the nearest end of range, use missing, or keep the value',
    ),
});

export const featureSchema = z
  .strictObject({
    name: z.string().regex(NAME, 'must be letters, digits and _, at most 63'),
    from: z
      .string()
      .superRefine((from, context) => {
        try {
          parseSource(from);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          context.addIssue({ code: 'custom', message: error.message });
        }
      })
      .describe(`Source of the value: ${SOURCE_FORMS}`),
    type: z.enum(RAW_TYPES).optional().describe('Default: what the first transform reads, otherwise number'),
    missing: z
      .union([z.number(), z.nan().transform(() => MISSING_NAN), z.string(), z.boolean()])
      .optional()
      .describe(
        'Value used when it is absent; without it the feature is required. .nan for models that accept NaN as missing',
      ),
    range: z
      .tuple([z.number(), z.number()])
      .optional()
      .describe('Raw values outside are rejected, or handled as quality.outside says'),
    allowed: z
      .array(z.union([z.string(), z.number(), z.boolean()]))
      .min(1)
      .max(10_000)
      .optional()
      .describe('The only accepted raw values'),
    quality: qualitySchema
      .optional()
      .describe('How missing values and values outside range or allowed are treated'),
    window: durationSchema.optional().describe('history only: how far back'),
    max_age: durationSchema
      .optional()
      .describe('history and reference only: older than this is stale, and the missing value is used'),
    where: expressionSchema
      .optional()
      .describe('history only: a CEL condition on `event`; only matching events count'),
    by: z
      .string()
      .regex(NAME)
      .optional()
      .describe('reference only: the entity whose id is the key of the row'),
    transform: z.array(transformSchema).default([]),
    input: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe('The ONNX input that it feeds, when the model has several'),
    dtype: z
      .enum(DTYPES)
      .optional()
      .describe('Element type of that input. Default: int64 after id, string for a text, otherwise float32'),
    hidden: z.boolean().optional().describe('Has no column of its own; only used by cross and ratio'),
    shared: z
      .strictObject({ name: z.string(), version: z.int().min(1) })
      .optional()
      .describe('Written by push: the shared feature that it is a copy of, and the version of features.yaml'),
  })
  .describe('One column of the input, or several after one_hot, multi_hot or text');

export type Feature = z.output<typeof featureSchema>;
export type Transform = z.output<typeof transformSchema>;
