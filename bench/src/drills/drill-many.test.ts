import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { describe, expect, it } from 'vitest';
import { zipf } from './drill-many.ts';

describe("Zipf's choice of models", () => {
  it('draws number n in proportion to 1 / n, and every number', () => {
    const seed = 7;
    const random = new SeededRandom(seed);
    const choose = zipf(50, () => random.uniform());
    const counts = new Array<number>(51).fill(0);
    const draws = 100_000;
    for (let draw = 0; draw < draws; draw++) counts[choose()]!++;
    const total = Array.from({ length: 50 }, (_, index) => 1 / (index + 1)).reduce((a, b) => a + b);
    expect(counts[0], `seed ${seed}`).toBe(0);
    for (let number = 1; number <= 50; number++) {
      const expected = draws / number / total;
      expect(Math.abs(counts[number]! - expected), `number ${number}, seed ${seed}`).toBeLessThan(
        5 * Math.sqrt(expected),
      );
    }
  });

  it('stays within the models at the edges of the draw', () => {
    expect(zipf(3, () => 0)()).toBe(1);
    expect(zipf(3, () => 1 - 2 ** -53)()).toBe(3);
  });
});
