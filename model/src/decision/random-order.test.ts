import { describe, expect, it } from 'vitest';
import { seededRandom, shuffleFront } from './random-order.ts';

describe('seededRandom', () => {
  it('gives the same numbers for the same seed, and other numbers for another seed', () => {
    const draw = (seed: string) =>
      Array.from(
        { length: 5 },
        (
          (random) => () =>
            random.next()
        )(seededRandom(seed)),
      );
    expect(draw('a')).toEqual(draw('a'));
    expect(draw('a')).not.toEqual(draw('b'));
  });

  it('fills [0, 1) evenly', () => {
    const random = seededRandom('even');
    const bins = new Array<number>(20).fill(0);
    const draws = 200_000;
    for (let index = 0; index < draws; index++) {
      const bin = Math.floor(random.next() * bins.length);
      bins[bin] = (bins[bin] ?? 0) + 1;
    }
    const expected = draws / bins.length;
    const chiSquare = bins.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 19 degrees of freedom: a correct generator exceeds 43.8 once in a thousand runs.
    expect(chiSquare).toBeLessThan(43.8);
    expect(bins.reduce((sum, count) => sum + count)).toBe(draws);
  });
});

describe('shuffleFront', () => {
  it('puts every element at every front position equally often', () => {
    const random = seededRandom('places');
    const counts = [0, 1, 2, 3, 4].map(() => [0, 0, 0]);
    const draws = 50_000;
    for (let draw = 0; draw < draws; draw++) {
      const order = Uint32Array.from([0, 1, 2, 3, 4]);
      shuffleFront(order, 3, random);
      expect([...order].sort()).toEqual([0, 1, 2, 3, 4]);
      for (const place of [0, 1, 2]) {
        const row = counts[order[place] ?? 0] ?? [];
        row[place] = (row[place] ?? 0) + 1;
      }
    }
    const tolerance = 5 * Math.sqrt((0.2 * 0.8) / draws);
    for (const row of counts)
      for (const count of row) expect(Math.abs(count / draws - 0.2)).toBeLessThan(tolerance);
  });
});
