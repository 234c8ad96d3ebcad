import { z } from 'zod';
import { addNgrams, type TextSettings } from '../text-ngrams.ts';
import { transformKind } from './transform-kind.ts';

const size = z.int().min(1).max(8);

export const textTransform = transformKind({
  name: 'text',
  schema: z.strictObject({
    text: z.strictObject({
      ngrams: z.tuple([size, size]).default([1, 1]).describe('Shortest and longest n-gram, in words'),
      buckets: z.int().min(2).max(262_144).default(4096).describe('Columns'),
      norm: z.enum(['l1', 'l2', 'none']).default('l2'),
      lowercase: z.boolean().default(true),
      binary: z.boolean().default(false).describe('1 for a word, however often it occurs'),
      sublinear: z.boolean().default(false).describe('1 + ln(count) instead of the count'),
      alternate_sign: z
        .boolean()
        .default(true)
        .describe('The sign of the hash decides whether a word adds or subtracts'),
      idf: z.array(z.number()).max(262_144).optional().describe('One weight per column, applied before norm'),
    }),
  }),
  documentation:
    'Hashed words and runs of words, as scikit-learn’s HashingVectorizer with the same settings: lower case, words of two or more letters, digits and _ (Unicode), MurmurHash3 modulo `buckets`, counts, then `sublinear` and `idf` (as TfidfTransformer), then norm. Must be the last transform.',
  example: '{text: {ngrams: [1, 2], buckets: 4096, norm: l2}}',
  typeBefore: () => 'text',
  compile({ text: settings }, before) {
    if (before !== 'text' && before !== 'texts') throw new RangeError('text needs a text');
    if (settings.ngrams[0] > settings.ngrams[1])
      throw new RangeError('text needs ngrams [shortest, longest]');
    if (settings.idf !== undefined && settings.idf.length !== settings.buckets)
      throw new RangeError(
        `text needs one idf weight per bucket: ${settings.buckets}, not ${settings.idf.length}`,
      );
    const compiled: TextSettings = {
      shortest: settings.ngrams[0],
      longest: settings.ngrams[1],
      buckets: settings.buckets,
      lowercase: settings.lowercase,
      alternateSign: settings.alternate_sign,
    };
    const idf = settings.idf === undefined ? undefined : Float64Array.from(settings.idf);
    return {
      stage: 'columns',
      width: settings.buckets,
      reads: 'raw',
      write(raw, _numbers, index, out, at) {
        const value = raw[index];
        const text = Array.isArray(value) ? value.join(' ') : String(value);
        const touched = addNgrams(text, compiled, out, at);
        weigh(out, at, touched.columns, touched.count, settings, idf);
        return true;
      },
    };
  },
});

interface Weighing {
  readonly binary: boolean;
  readonly sublinear: boolean;
  readonly norm: 'l1' | 'l2' | 'none';
}

function weigh(
  out: Float32Array,
  at: number,
  columns: Int32Array,
  count: number,
  { binary, sublinear, norm }: Weighing,
  idf: Float64Array | undefined,
): void {
  let length = 0;
  for (let index = 0; index < count; index++) {
    const column = columns[index] as number;
    let value = out[at + column] as number;
    if (binary && value !== 0) value = 1;
    if (sublinear && value > 0) value = Math.log(value) + 1;
    if (idf) value *= idf[column] as number;
    out[at + column] = value;
    length += norm === 'l2' ? value * value : Math.abs(value);
  }
  if (norm === 'none' || length === 0) return;
  const divisor = norm === 'l2' ? Math.sqrt(length) : length;
  for (let index = 0; index < count; index++) {
    const place = at + (columns[index] as number);
    out[place] = (out[place] as number) / divisor;
  }
}
