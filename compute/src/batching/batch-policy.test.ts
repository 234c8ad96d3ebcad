import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Policy, percentile, poissonArrivals, simulate } from '../testing/simulate-batches.ts';
import { PIPELINE_DEPTH, rowsToSend } from './batch-policy.ts';

const SEED = 20260101;
const ROWS = 4000;
/** A small and a large model. Duration of a run = fixed + perRow * rows. */
const SMALL = { perRowUs: 20, fixedUs: 200, hopUs: 50, capRows: 64 };

function arrivals(perSecond: number): number[] {
  const random = new SeededRandom(SEED);
  return poissonArrivals(ROWS, perSecond, () => random.uniform());
}

const oneByOne: Policy = (view) => (view.runningBatches === 0 && view.queuedRows > 0 ? 1 : 0);
const withoutPipeline: Policy = (view) => (view.runningBatches > 0 ? 0 : rowsToSend(view));

describe('batch policy', () => {
  it('never exceeds the cap, the queue or the pipeline, and never leaves an idle runner waiting', () => {
    const rows = fc.nat(500);
    fc.assert(
      fc.property(
        rows,
        fc.nat(4),
        rows,
        fc.integer({ min: 1, max: 256 }),
        (queuedRows, runningBatches, runningRows, capRows) => {
          const taken = rowsToSend({ queuedRows, runningBatches, runningRows, capRows });
          expect(taken).toBeLessThanOrEqual(Math.min(queuedRows, capRows));
          if (runningBatches >= PIPELINE_DEPTH) expect(taken).toBe(0);
          if (runningBatches === 0) expect(taken).toBe(Math.min(queuedRows, capRows));
        },
      ),
    );
  });

  it('adds nothing to the latency of a nearly idle model', () => {
    const light = { ...SMALL, arrivalsUs: arrivals(100) };
    const batched = simulate(light);
    const alone = simulate(light, oneByOne);
    expect(percentile(batched.latenciesUs, 0.99)).toBeLessThanOrEqual(
      1.05 * percentile(alone.latenciesUs, 0.99),
    );
    expect(percentile(batched.latenciesUs, 0.5)).toBe(2 * SMALL.hopUs + SMALL.fixedUs + SMALL.perRowUs);
  });

  it('carries many times the load that runs of single rows can', () => {
    // 30,000 rows per second: 60 % of what full batches can carry, eight times what single rows can.
    const load = { ...SMALL, arrivalsUs: arrivals(30_000) };
    const batched = simulate(load);
    expect(percentile(batched.latenciesUs, 0.99)).toBeLessThan(3_000);
    expect(percentile(simulate(load, oneByOne).latenciesUs, 0.99)).toBeGreaterThan(100_000);
  });

  it('keeps a saturated runner busy, which fails without a pipeline', () => {
    const flood = { ...SMALL, fixedUs: 50, perRowUs: 2, hopUs: 60, arrivalsUs: new Array(ROWS).fill(0) };
    expect(simulate(flood).busy).toBeGreaterThan(0.95);
    expect(simulate(flood, withoutPipeline).busy).toBeLessThan(0.7);
  });

  it('answers every row once, whatever the traffic', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 200 }),
        fc.integer({ min: 1, max: 32 }),
        (times, capRows) => {
          const arrivalsUs = times.sort((a, b) => a - b);
          const result = simulate({ ...SMALL, capRows, arrivalsUs });
          expect(result.batches.reduce((total, rows) => total + rows, 0)).toBe(arrivalsUs.length);
          expect(Math.min(...result.latenciesUs)).toBeGreaterThanOrEqual(
            2 * SMALL.hopUs + SMALL.fixedUs + SMALL.perRowUs,
          );
        },
      ),
    );
  });
});
