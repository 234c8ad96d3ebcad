import fc from 'fast-check';
import { expect, it } from 'vitest';
import { restoreSketch, storeSketch, ValueSketch } from './value-sketch.ts';

const columns = fc.array(fc.float({ noNaN: false }), { minLength: 1, maxLength: 200 });

function sketchOf(values: readonly number[]): ValueSketch {
  const sketch = new ValueSketch();
  sketch.addColumn(new Float32Array(values));
  return sketch;
}

it('counts, extremes and quantiles match the values, within the width of a bin', () => {
  fc.assert(
    fc.property(columns, fc.double({ min: 0.01, max: 1, noNaN: true }), (values, q) => {
      const sketch = sketchOf(values);
      const finite = Array.from(new Float32Array(values))
        .filter(Number.isFinite)
        .sort((a, b) => a - b);
      expect(sketch.count).toBe(finite.length);
      expect(sketch.nonFinite).toBe(values.length - finite.length);
      if (finite.length === 0) return;
      expect(sketch.min).toBe(finite[0]);
      expect(sketch.max).toBe(finite.at(-1));
      const exact = finite[Math.max(0, Math.ceil(q * finite.length - 1e-9) - 1)]!;
      expect(Math.abs(sketch.quantile(q) - exact)).toBeLessThanOrEqual(Math.abs(exact) / 128 + 1e-38);
    }),
  );
});

it('merging two parts gives the sketch of the whole, also after serialization', () => {
  fc.assert(
    fc.property(
      fc.array(fc.float({ min: -1000, max: 1000, noNaN: true }), { minLength: 2, maxLength: 100 }),
      (values) => {
        const half = values.length >> 1;
        const merged = restoreSketch(
          JSON.parse(JSON.stringify(storeSketch(sketchOf(values.slice(0, half))))),
        );
        merged.merge(sketchOf(values.slice(half)));
        const whole = sketchOf(values);
        expect(merged.sortedBins()).toEqual(whole.sortedBins());
        expect(merged.distinct.registers).toEqual(whole.distinct.registers);
        expect(merged.mean).toBeCloseTo(whole.mean, 6);
        expect(Math.abs(merged.variance - whole.variance)).toBeLessThanOrEqual(1e-6 * (1 + whole.variance));
      },
    ),
  );
});

it('reads one column of a matrix', () => {
  const sketch = new ValueSketch();
  sketch.addColumn(new Float32Array([1, 10, 2, 20, 3, 30]), 1, 2);
  expect([sketch.min, sketch.max, sketch.mean]).toEqual([10, 30, 20]);
});
