import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../onnx/seeded-random.ts';
import { calibrationError } from './calibration-error.ts';
import { compareAucs } from './delong.ts';
import { pairedBootstrap } from './paired-bootstrap.ts';

const rows = fc.array(
  fc.record({
    a: fc.integer({ min: 0, max: 9 }),
    b: fc.integer({ min: 0, max: 9 }),
    label: fc.constantFrom(0, 1),
  }),
  { minLength: 4, maxLength: 60 },
);

/** AUC by its definition: pairs, ties counting half. */
function bruteAuc(scores: readonly number[], labels: readonly number[]): number {
  let [wins, pairs] = [0, 0];
  for (const [i, x] of scores.entries())
    for (const [j, y] of scores.entries())
      if (labels[i] === 1 && labels[j] === 0) {
        pairs++;
        wins += x > y ? 1 : x === y ? 0.5 : 0;
      }
  return wins / pairs;
}

/** The variance of DeLong's difference as defined in the paper: covariances of the placement values. */
function bruteVariance(a: readonly number[], b: readonly number[], labels: readonly number[]): number {
  const positives = labels.flatMap((label, row) => (label === 1 ? [row] : []));
  const negatives = labels.flatMap((label, row) => (label === 0 ? [row] : []));
  const kernel = (x: number, y: number) => (x > y ? 1 : x === y ? 0.5 : 0);
  const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const spread = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + (value - meanOf(values)) ** 2, 0) / (values.length - 1);
  const gap = (i: number, j: number) => kernel(a[i]!, a[j]!) - kernel(b[i]!, b[j]!);
  const v10 = positives.map((i) => meanOf(negatives.map((j) => gap(i, j))));
  const v01 = negatives.map((j) => meanOf(positives.map((i) => gap(i, j))));
  return spread(v10) / positives.length + spread(v01) / negatives.length;
}

describe("DeLong's comparison of two AUCs", () => {
  it('equals the definition by pairs, for any scores and ties', () => {
    void fc.assert(
      fc.property(rows, (drawn) => {
        const labels = drawn.map(({ label }) => label);
        const positives = labels.filter((label) => label === 1).length;
        fc.pre(positives >= 2 && labels.length - positives >= 2);
        const [a, b] = [drawn.map((row) => row.a), drawn.map((row) => row.b)];
        const compared = compareAucs(a, b, labels);
        expect(compared.first).toBeCloseTo(bruteAuc(a, labels), 10);
        expect(compared.second).toBeCloseTo(bruteAuc(b, labels), 10);
        expect(compared.standardError ** 2).toBeCloseTo(bruteVariance(a, b, labels), 10);
      }),
    );
  });

  it('finds a difference of 0 with standard error 0 between a score and itself', () => {
    const scores = [0.1, 0.5, 0.3, 0.9];
    expect(compareAucs(scores, scores, [0, 1, 0, 1])).toMatchObject({ difference: 0, standardError: 0 });
  });

  it('is undefined with one class', () => {
    expect(compareAucs([1, 2], [2, 1], [1, 1]).difference).toBeNaN();
  });

  it('covers the true difference about as often as it claims', () => {
    const random = new SeededRandom(11);
    let covered = 0;
    const turns = 300;
    for (let turn = 0; turn < turns; turn++) {
      // Two equally good, correlated scores: the true difference is 0.
      const labels = Array.from({ length: 200 }, () => (random.uniform() < 0.3 ? 1 : 0));
      const shared = labels.map((label) => label + random.normal());
      const a = shared.map((value) => value + random.normal());
      const b = shared.map((value) => value + random.normal());
      const { interval } = compareAucs(a, b, labels);
      if (interval.low <= 0 && interval.high >= 0) covered++;
    }
    expect(covered / turns).toBeGreaterThan(0.91);
    expect(covered / turns).toBeLessThan(0.99);
  });
});

describe('the paired bootstrap', () => {
  it('gives an interval that contains the measured difference, the same for the same seed', () => {
    void fc.assert(
      fc.property(fc.integer(), rows, (seed, drawn) => {
        const units = {
          first: drawn.map((row) => row.a),
          second: drawn.map((row) => row.b),
          weights: drawn.map(() => 1),
        };
        const run = () => {
          const random = new SeededRandom(seed);
          return pairedBootstrap(units, () => random.uniform(), { resamples: 300, confidence: 0.999 });
        };
        const result = run();
        expect(result.interval.low).toBeLessThanOrEqual(result.difference + 1e-9);
        expect(result.interval.high).toBeGreaterThanOrEqual(result.difference - 1e-9);
        expect(run()).toEqual(result);
      }),
      { numRuns: 50 },
    );
  });

  it('covers the true difference about as often as it claims', () => {
    const random = new SeededRandom(5);
    let covered = 0;
    const turns = 200;
    for (let turn = 0; turn < turns; turn++) {
      const shared = Array.from({ length: 100 }, () => random.normal());
      const first = shared.map((value) => value + random.normal() + 0.2);
      const second = shared.map((value) => value + random.normal());
      const weights = shared.map(() => 1);
      const { interval } = pairedBootstrap({ first, second, weights }, () => random.uniform(), {
        resamples: 300,
      });
      if (interval.low <= 0.2 && interval.high >= 0.2) covered++;
    }
    expect(covered / turns).toBeGreaterThan(0.89);
  });
});

describe('the calibration error', () => {
  it('is 0 for calibrated probabilities, and the gap for others', () => {
    expect(calibrationError([0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0])).toBeCloseTo(0);
    expect(calibrationError([0.9, 0.9], [0, 0])).toBeCloseTo(0.9);
    expect(calibrationError([1, 0], [1, 0])).toBe(0);
    expect(calibrationError([], [])).toBeNaN();
  });
});
