import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type SearchSpec, searchSchema } from '../manifest/search-schema.ts';
import { nextTrials, roundEpochs } from './next-trials.ts';
import type { Trial } from './trial.ts';

const specOf = (change: object = {}): SearchSpec =>
  searchSchema.parse({
    trials: 12,
    ranges: {
      learning_rate: { from: 1e-4, to: 1, scale: 'log' },
      epochs: { from: 1, to: 20 },
      hidden: { values: [[], [16], [32, 16]] },
    },
    ...change,
  });

/** Runs a search with the given loss function; returns all trials and the winner. */
function searched(spec: SearchSpec, seed: number, lossOf: (trial: Trial) => number) {
  const trials: Trial[] = [];
  for (let turn = 0; turn < 10_000; turn++) {
    const step = nextTrials(spec, seed, trials);
    expect(nextTrials(spec, seed, trials)).toEqual(step);
    if (step.winner !== undefined) return { trials, winner: step.winner };
    expect(step.start.length).toBeGreaterThan(0);
    expect(step.start.length).toBeLessThanOrEqual(spec.parallel);
    for (const started of step.start) {
      const trial = { ...started, loss: null };
      trials.push({ ...trial, loss: lossOf(trial) });
    }
  }
  throw new Error('the search did not end');
}

const bowl = ({ point }: Trial) => (Math.log10(Number(point.learning_rate)) + 2) ** 2;

describe('a search', () => {
  it('ends with the best trial of the last round, within the ranges, for any spec', () => {
    const specs = fc.record({
      trials: fc.integer({ min: 1, max: 30 }),
      halving: fc.integer({ min: 2, max: 4 }),
      rounds: fc.integer({ min: 1, max: 3 }),
      parallel: fc.integer({ min: 1, max: 6 }),
      method: fc.constantFrom('tpe', 'random'),
    });
    void fc.assert(
      fc.property(specs, fc.integer({ min: 0, max: 1000 }), (change, seed) => {
        const spec = specOf(change);
        const { trials, winner } = searched(spec, seed, bowl);
        for (const { point } of trials) {
          expect(Number(point.learning_rate)).toBeGreaterThanOrEqual(1e-4);
          expect(Number(point.learning_rate)).toBeLessThanOrEqual(1);
          expect(Number.isInteger(point.epochs)).toBe(true);
        }
        expect(new Set(trials.map(({ key }) => key)).size).toBe(trials.length);
        const last = trials.filter(({ key }) => key.startsWith(`${spec.rounds - 1}:`));
        expect(winner?.loss).toBe(Math.min(...last.map(({ loss }) => loss!)));
      }),
      { numRuns: 60 },
    );
  });

  it('ends without a winner when every trial fails, and continues when some do', () => {
    expect(searched(specOf(), 1, () => Number.NaN).winner).toBeNull();
    const some = searched(specOf(), 1, (trial) => (trial.key.endsWith('0') ? Number.NaN : bowl(trial)));
    expect(some.winner?.loss).toBeGreaterThanOrEqual(0);
  });

  it('gets closer to the best point by TPE than at random, on average', () => {
    const average = (method: string) => {
      const spec = specOf({ method, trials: 30, rounds: 1, parallel: 1 });
      const losses = Array.from({ length: 30 }, (_, seed) => searched(spec, seed, bowl).winner!.loss!);
      return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    };
    expect(average('tpe')).toBeLessThan(average('random'));
  });

  it('gives all epochs to the last round', () => {
    const spec = specOf({ rounds: 3, halving: 3 });
    expect([0, 1, 2].map((round) => roundEpochs(spec, round, 18))).toEqual([2, 6, 18]);
  });
});
