import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { interleave, quantile, type Side } from './interleave.ts';

/** By definition: the smallest value that at least a share q of all values does not exceed. */
function reference(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const found = sorted.find(
    (value) => sorted.filter((other) => other <= value).length >= q * sorted.length - 1e-9,
  );
  return found ?? Number.NaN;
}

describe('quantile', () => {
  const lists = fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1, maxLength: 200 });

  it('is the nearest rank', () => {
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 100 }), (values, percent) => {
        expect(quantile(values, percent / 100)).toBe(reference(values, percent / 100));
      }),
    );
  });

  it('fails a check when it sorts numbers as texts', () => {
    const asTexts = (values: readonly number[], q: number) =>
      [...values].map(String).sort()[Math.ceil(q * values.length) - 1];
    expect(Number(asTexts([10, 9, 100], 0.5))).not.toBe(reference([10, 9, 100], 0.5));
    expect(quantile([10, 9, 100], 0.5)).toBe(10);
  });

  it('is not a number for an empty list', () => {
    expect(quantile([], 0.5)).toBeNaN();
  });
});

describe('interleave', () => {
  it('gives each side one turn in every round, and starts each round with another side', async () => {
    const turns: string[] = [];
    const side = (name: string): Side => ({
      name,
      async run(seconds) {
        turns.push(name);
        return { perSecond: seconds, p50Ms: 0, p99Ms: 0 };
      },
    });
    const rounds = await interleave([side('a'), side('b'), side('c')], 3, 2);
    expect(turns.join('')).toBe('abcbcacab');
    expect([...rounds.values()].map((samples) => samples.length)).toEqual([3, 3, 3]);
    expect(rounds.get('a')?.[0]?.perSecond).toBe(2);
  });
});
