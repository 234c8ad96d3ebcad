import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { manifestOf, record } from '../testing/manifests.ts';
import { compileFeaturePlan } from './feature-plan.ts';
import { bucketOfHash, murmur3 } from './murmur3.ts';
import { addNgrams } from './text-ngrams.ts';

interface Fixtures {
  readonly texts: readonly string[];
  readonly hashes: Readonly<Record<string, number>>;
  readonly cases: readonly {
    readonly settings: {
      readonly buckets: number;
      readonly ngrams: [number, number];
      readonly norm: 'l1' | 'l2';
    };
    readonly rows: readonly Readonly<Record<string, number>>[];
  }[];
}

/** Created with scikit-learn by testing/make-text-fixtures.py. */
const fixtures = JSON.parse(
  readFileSync(new URL('../testing/text-fixtures.json', import.meta.url), 'utf8'),
) as Fixtures;

describe('MurmurHash3', () => {
  it('equals scikit-learn', () => {
    expect(murmur3('hello')).toBe(613153351);
    expect(murmur3('café')).toBe(605818632);
    expect(murmur3('')).toBe(0);
    expect(murmur3('日本')).toBe(-992347838);
    for (const [text, hash] of Object.entries(fixtures.hashes)) expect(murmur3(text)).toBe(hash);
  });

  it('maps the smallest 32-bit number to a bucket as scikit-learn does', () => {
    for (const buckets of [2, 10, 4096, 2 ** 31 - 1])
      expect(bucketOfHash(-2147483648, buckets)).toBe(Number(2147483648n % BigInt(buckets)));
  });
});

describe('text', () => {
  it.each(fixtures.cases)(
    'equals HashingVectorizer for $settings.ngrams, $settings.buckets, $settings.norm',
    (one) => {
      const plan = compileFeaturePlan(
        manifestOf({ features: [{ name: 'q', from: 'request.q', transform: [{ text: one.settings }] }] }),
      );
      for (const [index, text] of fixtures.texts.entries()) {
        const { features } = plan.run(
          { request: record({ q: text }), entities: record({}), candidates: [] },
          [],
          0,
        );
        const made = new Float32Array(features.buffer, features.byteOffset, one.settings.buckets);
        const wanted = new Float32Array(one.settings.buckets);
        for (const [column, value] of Object.entries(one.rows[index] ?? {})) wanted[Number(column)] = value;
        for (let column = 0; column < wanted.length; column++)
          expect(Math.abs((made[column] ?? 0) - (wanted[column] ?? 0)), `${text}: ${column}`).toBeLessThan(
            1e-6,
          );
      }
    },
  );

  it('finds the same words as the pattern of scikit-learn, in any text', () => {
    const settings = { shortest: 1, longest: 2, buckets: 97, lowercase: true, alternateSign: true };
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const out = new Float32Array(97);
        addNgrams(text, settings, out, 0);
        const words = text.toLowerCase().match(/[\p{L}\p{N}_]{2,}/gu) ?? [];
        const pairs = words.slice(1).map((word, index) => `${words[index]} ${word}`);
        const wanted = new Float32Array(97);
        for (const ngram of [...words, ...pairs]) {
          const hash = murmur3(ngram);
          const column = bucketOfHash(hash, 97);
          wanted[column] = (wanted[column] ?? 0) + (hash < 0 ? -1 : 1);
        }
        expect([...out]).toEqual([...wanted]);
      }),
      { numRuns: 500 },
    );
  });
});
