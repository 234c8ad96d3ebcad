import { describe, expect, it } from 'vitest';
import { SeededRandom } from './seeded-random.ts';

const draws = (seed: number, count: number) => {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, () => random.uniform());
};

describe('SeededRandom', () => {
  it('repeats itself only for the same seed', () => {
    expect(draws(42, 100)).toEqual(draws(42, 100));
    expect(draws(42, 100)).not.toEqual(draws(43, 100));
  });

  it('draws from the named distributions', () => {
    const random = new SeededRandom(1);
    const count = 20_000;
    const normals = Array.from({ length: count }, () => random.normal());
    const mean = normals.reduce((a, b) => a + b) / count;
    const variance = normals.reduce((sum, x) => sum + (x - mean) ** 2, 0) / count;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
    const dice = Array.from({ length: count }, () => random.integer(6));
    for (let face = 0; face < 6; face++) {
      expect(Math.abs(dice.filter((value) => value === face).length / count - 1 / 6)).toBeLessThan(0.02);
    }
  });

  it('shuffles into every order, without losing elements', () => {
    const random = new SeededRandom(7);
    const orders = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const values = Uint32Array.of(1, 2, 3);
      random.shuffle(values);
      orders.set(values.join(), (orders.get(values.join()) ?? 0) + 1);
    }
    expect([...orders.keys()].sort()).toEqual(['1,2,3', '1,3,2', '2,1,3', '2,3,1', '3,1,2', '3,2,1']);
    for (const times of orders.values()) expect(Math.abs(times - 1000)).toBeLessThan(150);
  });
});
