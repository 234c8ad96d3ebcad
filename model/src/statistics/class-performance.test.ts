import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../onnx/seeded-random.ts';
import {
  type ClassesMetric,
  calibratedClasses,
  classesPerformance,
  fitClassCalibration,
  largestClass,
} from './class-performance.ts';

const CLASSES = 4;
const seed = 23;
const METRICS: readonly ClassesMetric[] = ['accuracy', 'macro_f1', 'log_loss'];

/** Rows whose labels are drawn from their true probabilities; the model gives those to the power `sharper`. */
function drawn(n: number, random: SeededRandom, sharper: number) {
  const rows: Float64Array[] = [];
  const labels: number[] = [];
  for (let row = 0; row < n; row++) {
    const weights = Float64Array.from({ length: CLASSES }, (_v, k) =>
      Math.exp(random.normal() * 1.5 - k * 0.4),
    );
    const sum = weights.reduce((a, b) => a + b, 0);
    const truth = weights.map((one) => one / sum);
    let [left, label] = [random.uniform(), 0];
    while (label < CLASSES - 1 && left >= truth[label]!) left -= truth[label++]!;
    labels.push(label);
    const given = truth.map((p) => p ** sharper);
    const total = given.reduce((a, b) => a + b, 0);
    rows.push(given.map((p) => p / total));
  }
  return { rows, labels };
}
const known = (labels: readonly number[]) =>
  labels.map((label) => Float64Array.from({ length: CLASSES }, (_v, k) => (k === label ? 1 : 0)));

describe(`performance of several classes, seed ${seed}`, () => {
  it('is that of the labels where they are known', () => {
    const rows = [
      [0.7, 0.2, 0.1],
      [0.1, 0.8, 0.1],
      [0.3, 0.3, 0.4],
      [0.6, 0.3, 0.1],
    ];
    const truths = [0, 1, 1, 0].map((label) => [0, 1, 2].map((k) => (k === label ? 1 : 0)));
    const of = (metric: ClassesMetric) => classesPerformance(metric, rows, truths).value;
    expect(of('accuracy')).toBe(0.75);
    // Class 0: 1; class 1: 2 of 1 right, 2 true and 1 predicted; class 2: never right.
    expect(of('macro_f1')).toBeCloseTo((1 + 2 / 3 + 0) / 3, 12);
    expect(of('log_loss')).toBeCloseTo(
      -(Math.log(0.7) + Math.log(0.8) + Math.log(0.3) + Math.log(0.6)) / 4,
      12,
    );
  });

  it('is estimated before labels arrive, also for an overconfident model', () => {
    const random = new SeededRandom(seed);
    const past = drawn(4_000, random, 2);
    const now = drawn(4_000, random, 2);
    const calibration = fitClassCalibration(past.rows, past.labels);
    const expected = now.rows.map((row) => calibratedClasses(calibration, row));
    for (const metric of METRICS) {
      const truth = classesPerformance(metric, now.rows, known(now.labels));
      const estimate = classesPerformance(metric, now.rows, expected);
      const raw = classesPerformance(metric, now.rows, now.rows);
      expect(Math.abs(estimate.value - truth.value), metric).toBeLessThan(0.03);
      // Without calibration the estimate believes the model.
      expect(Math.abs(raw.value - truth.value), metric).toBeGreaterThan(0.08);
      expect(truth.high - truth.low, metric).toBeLessThan(0.12);
      expect(estimate.low).toBeLessThan(estimate.value);
    }
  });

  it('has intervals that contain the expected value in about 95 of 100 draws', () => {
    const random = new SeededRandom(seed);
    for (const metric of METRICS) {
      const draws = Array.from({ length: 80 }, () => drawn(250, random, 1));
      const figures = draws.map(({ rows, labels }) => classesPerformance(metric, rows, known(labels)));
      const mean = figures.reduce((sum, { value }) => sum + value, 0) / figures.length;
      const held = figures.filter(({ low, high }) => low <= mean && mean <= high).length / figures.length;
      expect(held, metric).toBeGreaterThan(0.85);
    }
  });

  it('has probabilities that sum to 1 for any curves and rows', () => {
    const probability = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(probability, probability, probability), { minLength: 1, maxLength: 60 }),
        fc.infiniteStream(fc.nat(2)),
        (rows, stream) => {
          const labels = rows.map(() => stream.next().value as number);
          const calibration = fitClassCalibration(rows, labels);
          for (const row of rows) {
            const own = calibratedClasses(calibration, row);
            expect(own.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
            expect(own.every((p) => p >= 0)).toBe(true);
            expect(largestClass(row)).toBeLessThan(3);
          }
        },
      ),
      { seed, numRuns: 60 },
    );
  });
});
