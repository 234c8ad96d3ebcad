import { expect, it } from 'vitest';
import { SeededRandom } from '../onnx/seeded-random.ts';
import { changePoint } from './change-point.ts';

const SEED = 14;

function draws(random: SeededRandom, n: number, shares: readonly number[]): number[] {
  return Array.from({ length: n }, () => {
    let left = random.uniform();
    const category = shares.findIndex((share) => {
      left -= share;
      return left < 0;
    });
    return category < 0 ? shares.length - 1 : category;
  });
}

it('locates a change of the mix of categories, early and late in the sequence', () => {
  const random = new SeededRandom(SEED);
  for (const at of [60, 500, 900]) {
    const items = [...draws(random, at, [0.6, 0.3, 0.1]), ...draws(random, 1000 - at, [0.2, 0.3, 0.5])];
    const found = changePoint(items, 3, 20);
    expect(Math.abs(found!.at - at), `seed ${SEED}, at ${at}: ${found!.at}`).toBeLessThan(20);
    expect(found!.p).toBeLessThan(1e-6);
  }
});

it('finds the exact place where all items change', () => {
  const items = [...new Array<number>(40).fill(0), ...new Array<number>(100).fill(1)];
  expect(changePoint(items, 2, 20)).toMatchObject({ at: 40 });
});

it('calls at most one of a hundred unchanged sequences unlikely', () => {
  const random = new SeededRandom(SEED);
  const unlikely = Array.from(
    { length: 100 },
    () => changePoint(draws(random, 400, [0.5, 0.4, 0.1]), 3, 20)!.p,
  );
  expect(unlikely.filter((p) => p < 0.01).length, `seed ${SEED}`).toBeLessThanOrEqual(1);
});

it('has no answer for a short sequence, or for one category', () => {
  expect(changePoint([0, 1, 0, 1], 2, 20)).toBeNull();
  expect(changePoint(new Array<number>(100).fill(1), 2, 20)).toBeNull();
});
