import { z } from 'zod';
import { bucketOfHash, murmur3 } from '../murmur3.ts';
import { transformKind } from './transform-kind.ts';

export const id = transformKind({
  name: 'id',
  schema: z
    .strictObject({
      id: z.union([
        z.strictObject({
          buckets: z
            .int()
            .min(2)
            .max(2 ** 31 - 1),
        }),
        z.strictObject({
          values: z
            .array(z.union([z.string(), z.number()]))
            .min(1)
            .max(100_000),
        }),
      ]),
    })
    .describe('An index into an embedding'),
  documentation:
    'An index into an embedding, int64 unless `dtype` says otherwise. `buckets`: MurmurHash3 of the text, from 0 to buckets − 1. `values`: the place in the list, from 1; 0 for a value that is not in it.',
  example: '{id: {buckets: 50000}}',
  typeBefore: ({ id: given }) =>
    'values' in given && given.values.every((value) => typeof value === 'number') ? 'number' : 'text',
  compile({ id: given }, before) {
    if (before === 'texts') throw new RangeError('id takes one text, not a list of texts');
    const indexOf = indexer(given, before);
    return {
      stage: 'encode',
      whole: true,
      apply(raw, numbers, count) {
        for (let index = 0; index < count; index++)
          numbers[index] = indexOf(before === 'numbers' ? numbers[index] : raw[index]);
      },
    };
  },
});

type Given = { buckets: number } | { values: readonly (string | number)[] };

function indexer(given: Given, before: string): (value: unknown) => number {
  if ('buckets' in given) return (value) => bucketOfHash(murmur3(String(value)), given.buckets);
  const places = new Map<unknown, number>();
  for (const [place, value] of given.values.entries()) {
    const key = before === 'text' ? String(value) : Number(value);
    if (Number.isNaN(key))
      throw new RangeError(`id: ${JSON.stringify(value)} is not a number; declare type: text`);
    if (places.has(key)) throw new RangeError(`id names ${JSON.stringify(value)} twice`);
    places.set(key, place + 1);
  }
  return (value) => places.get(value) ?? 0;
}
