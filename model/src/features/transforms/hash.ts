import { z } from 'zod';
import { fnv1a32 } from '../fnv1a.ts';
import { bucketOfHash, murmur3 } from '../murmur3.ts';
import { transformKind } from './transform-kind.ts';

const buckets = z
  .int()
  .min(2)
  .max(2 ** 31 - 1);

export const hash = transformKind({
  name: 'hash',
  schema: z
    .strictObject({
      hash: z.union([
        buckets.describe(
          'FNV-1a 32 of the text, modulo: the meaning in bundles before version 0.2. A push records the function',
        ),
        z.strictObject({ buckets, function: z.enum(['murmur3', 'fnv1a']).default('murmur3') }),
      ]),
    })
    .describe('A bucket from 0 to buckets - 1, by the hash of the text'),
  documentation:
    'The bucket of the text, from 0 to buckets − 1: MurmurHash3 (32 bit, seed 0) of its UTF-8, as in scikit-learn and ONNX Runtime. The number is an index without an order: follow it by one_hot, or feed an embedding with `id`. A bare number of buckets in a stored bundle means FNV-1a; a push writes `{buckets, function: murmur3}`.',
  example: '{hash: {buckets: 64, function: murmur3}}',
  typeBefore: () => 'text',
  compile({ hash: given }, before) {
    if (before === 'texts')
      throw new RangeError('hash takes one text; use multi_hot or text for a list of texts');
    const { buckets, function: name } =
      typeof given === 'number' ? { buckets: given, function: 'fnv1a' } : given;
    const bucketOf =
      name === 'murmur3'
        ? (text: string) => bucketOfHash(murmur3(text), buckets)
        : (text: string) => fnv1a32(text) % buckets;
    return {
      stage: 'encode',
      whole: true,
      apply(raw, numbers, count) {
        for (let index = 0; index < count; index++)
          numbers[index] = bucketOf(String(before === 'numbers' ? numbers[index] : raw[index]));
      },
    };
  },
});
