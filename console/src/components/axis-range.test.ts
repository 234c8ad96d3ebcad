import { describe, expect, it } from 'vitest';
import { timeRange, valueRange } from './axis-range.ts';

describe('the axes of a chart', () => {
  it('show a single value, and a flat line, in the middle', () => {
    const [low, high] = valueRange(0.8, 0.8);
    expect((low + high) / 2).toBeCloseTo(0.8);
    expect(high - low).toBeCloseTo(0.16);
    expect(valueRange(0, 0)).toEqual([-1, 1]);
    expect(valueRange(-2, -2)).toEqual([-2.2, -1.8]);
    expect(timeRange(7200, false)).toEqual([5400, 9000]);
    expect(timeRange(3, true)).toEqual([2, 4]);
  });

  it('begin where they are told, with some air above', () => {
    expect(valueRange(10, 100, 0)).toEqual([0, 108]);
    expect(valueRange(0, 0, 0)).toEqual([0, 1]);
    expect(valueRange(5, 5, 0)).toEqual([0, 5.4]);
    expect(valueRange(null, null, 0)).toEqual([0, 1]);
  });
});
