import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { suspectedLabels } from './confident-learning.ts';

describe('suspected labels', () => {
  it('are those with a flipped label, the most certain first', () => {
    const score = [0.9, 0.95, 0.85, 0.1, 0.05, 0.15, 0.97, 0.2];
    const labels = [1, 1, 1, 0, 0, 0, 0, 1];
    const found = suspectedLabels(
      score.map((p) => [1 - p, p]),
      labels,
    );
    expect(found.map(({ index, suspected }) => [index, suspected])).toEqual(
      [
        [6, 1],
        [7, 0],
      ].slice(0, found.length),
    );
    expect(found[0]).toMatchObject({ index: 6, suspected: 1 });
  });

  it('never suggest the given label, and are empty if all probabilities are equal', () => {
    const probability = fc.double({ min: 0, max: 1, noNaN: true });
    void fc.assert(
      fc.property(fc.array(fc.tuple(probability, fc.nat(1)), { minLength: 1 }), (rows) => {
        const found = suspectedLabels(
          rows.map(([p]) => [1 - p, p]),
          rows.map(([, label]) => label),
        );
        for (const { index, suspected } of found) expect(suspected).not.toBe(rows[index]![1]);
      }),
    );
    expect(suspectedLabels([], [])).toEqual([]);
    expect(suspectedLabels([[0.2, 0.8]], [1])).toEqual([]);
  });
});
