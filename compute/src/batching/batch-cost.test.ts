import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchCost } from './batch-cost.ts';

describe('batch cost', () => {
  it('fits the line through the measured batches', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 1000, noNaN: true }),
        fc.double({ min: 0, max: 10_000, noNaN: true }),
        (perRow, fixed) => {
          const cost = new BatchCost();
          for (let round = 0; round < 30; round++)
            cost.observe(1 + (round % 8), fixed + perRow * (1 + (round % 8)));
          expect(cost.perRow).toBeCloseTo(perRow, 4);
          expect(Math.abs(cost.fixed - fixed)).toBeLessThan(1e-4 * (1 + fixed));
        },
      ),
    );
  });

  it('adapts to a model that becomes slower', () => {
    const cost = new BatchCost();
    for (let round = 0; round < 1000; round++) cost.observe(1 + (round % 4), 10 * (1 + (round % 4)));
    for (let round = 0; round < 1000; round++) cost.observe(1 + (round % 4), 40 * (1 + (round % 4)));
    expect(cost.estimate(4)).toBeGreaterThan(159);
  });

  it('caps a batch where the fixed cost is negligible, and never beyond the target time', () => {
    const cost = new BatchCost();
    expect(cost.cap(256, 20_000)).toBe(256);
    for (const rows of [1, 2, 4, 8, 16]) cost.observe(rows, 1_000 + 50 * rows);
    // The fixed part may be 5 % of a batch at 50 us per row: 1,000 / 2.5 = 400 rows.
    expect(cost.cap(1_024, 30_000)).toBe(400);
    expect(cost.cap(16, 30_000)).toBe(16);
    expect(cost.cap(1_024, 2_010)).toBe(20);
    expect(cost.cap(1_024, 10)).toBe(1);
  });

  it('lets a batch of a model without a fixed cost run for five milliseconds', () => {
    const cost = new BatchCost();
    for (const rows of [1, 2, 4, 8, 16]) cost.observe(rows, 50 * rows);
    // One row more or less is rounding.
    expect(Math.abs(cost.cap(1_024, 20_000) - 100)).toBeLessThanOrEqual(1);
    expect(Math.abs(cost.cap(1_024, 2_000) - 40)).toBeLessThanOrEqual(1);
  });
});
