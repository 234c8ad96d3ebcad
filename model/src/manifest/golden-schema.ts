import { z } from 'zod';

/**
 * A tensor in YAML or JSON: nested lists in row-major order, whose nesting is the shape; a scalar is given without a
 * list.
 */
export type NestedValues = number | string | boolean | readonly NestedValues[];

export const MAX_GOLDEN_EXAMPLES = 64;
/**
 * Size limit as JSON text, because the examples are part of every bundle, and every node that loads the version runs
 * them.
 */
export const MAX_GOLDEN_BYTES = 64 * 1024;

const nestedSchema: z.ZodType<NestedValues> = z
  .lazy(() =>
    z.union([z.number(), z.string(), z.boolean(), z.array(nestedSchema)], {
      error: 'must be finite numbers, texts, true or false, alone or in lists of lists',
    }),
  )
  .meta({ id: 'tensor' });

const tensorsSchema = z
  .record(z.string().min(1), nestedSchema)
  .refine((tensors) => Object.keys(tensors).length > 0, 'must name at least one');

const tolerance = z.number().min(0).max(1e9).optional();

export const goldenSchema = z
  .strictObject({
    relative: tolerance.describe(
      'Floating point numbers may differ by absolute + relative * |expected|. Default: 1e-3; 1e-2 on a provider other than cpu or in FP16; 4e-2 in BF16',
    ),
    absolute: tolerance.describe(
      'Default: 1e-5, 2e-3 or 2e-2 likewise, times the largest expected value of the output where that is above 1',
    ),
    examples: z
      .array(
        z.strictObject({
          inputs: tensorsSchema.describe('Every input of the model by name, as nested lists'),
          outputs: tensorsSchema.describe('The expected outputs by name; outputs left out are not compared'),
        }),
      )
      .max(MAX_GOLDEN_EXAMPLES)
      .default([]),
  })
  .refine(
    ({ examples }) => Buffer.byteLength(JSON.stringify(examples)) <= MAX_GOLDEN_BYTES,
    `the examples are larger than ${MAX_GOLDEN_BYTES} bytes`,
  )
  .describe('Inputs with the expected outputs of this version; compared before it gets traffic');

export type Golden = z.output<typeof goldenSchema>;
export type GoldenExample = Golden['examples'][number];
