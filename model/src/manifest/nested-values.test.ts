import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { elementCount } from '../onnx/tensor.ts';
import { flattenValues, nestValues } from './nested-values.ts';

describe('nested values', () => {
  it('are flattened to values and a shape, and nested again', () => {
    const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 });
    fc.assert(
      fc.property(shapes, (shape) => {
        const elements = Array.from({ length: elementCount(shape) }, (_, index) => index);
        expect(flattenValues(nestValues(elements, shape))).toEqual({ shape, elements });
      }),
    );
  });

  it('are nested in row-major order', () => {
    expect(nestValues([1, 2, 3, 4, 5, 6], [3, 2])).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    expect(nestValues(['a'], [])).toBe('a');
  });

  it('that are ragged at any depth have no shape', () => {
    for (const ragged of [[[1], [2, 3]], [1, [2]], [[[1], [2]], [[3]]], [[]], [[1], []]])
      expect(() => flattenValues(ragged)).toThrow(RangeError);
  });
});
