import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aucInterval, weightedRocAuc } from './area-under-curve.ts';
import { adjustedForFalseDiscoveries } from './benjamini-hochberg.ts';
import { calibrated, fitCalibration, fitPlatt, plattProbability } from './calibration.ts';
import {
  chiSquareHomogeneity,
  jensenShannonDistance,
  kolmogorovSmirnov,
  populationStabilityIndex,
  sortedSample,
  wassersteinDistance,
} from './distances.ts';
import {
  chiSquareSurvival,
  normalCdf,
  normalQuantile,
  poissonAtLeast,
  poissonAtMost,
  wilsonInterval,
} from './distributions.ts';
import { estimateClassMetric, estimateSquaredLoss } from './estimated-performance.ts';
import { HeavyHitters } from './heavy-hitters.ts';
import { HyperLogLog } from './hyperloglog.ts';
import { fitLogistic, logisticProbability } from './logistic-regression.ts';

const counts = fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 2, maxLength: 12 });
const numbers = fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 1, maxLength: 60 });

describe('tails of distributions', () => {
  it('agree with published values', () => {
    expect(normalCdf(1.959963984540054)).toBeCloseTo(0.975, 12);
    expect(normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 9);
    // scipy.stats: chi2.sf(3.84, 1), poisson.cdf(3, 10), poisson.sf(19, 10)
    expect(chiSquareSurvival(3.84, 1)).toBeCloseTo(0.05004352124870519, 12);
    expect(poissonAtMost(3, 10)).toBeCloseTo(0.010336050675925726, 12);
    expect(poissonAtLeast(20, 10)).toBeCloseTo(0.0034543419758568, 10);
    expect(wilsonInterval(5, 10).low).toBeCloseTo(0.2365931, 6);
  });
});

describe('distances', () => {
  it('are zero between equal samples and never negative', () => {
    fc.assert(
      fc.property(counts, (a) => {
        expect(populationStabilityIndex(a, a)).toBeCloseTo(0, 12);
        expect(jensenShannonDistance(a, a)).toBeCloseTo(0, 6);
        expect(chiSquareHomogeneity(a, a).statistic).toBeCloseTo(0, 9);
        const reversed = [...a].reverse();
        expect(populationStabilityIndex(a, reversed)).toBeGreaterThanOrEqual(0);
        expect(jensenShannonDistance(a, reversed)).toBeLessThanOrEqual(Math.sqrt(Math.LN2) + 1e-12);
      }),
    );
  });

  it('the Wasserstein distance of a shifted sample is the shift, and Kolmogorov-Smirnov is the largest gap', () => {
    fc.assert(
      fc.property(numbers, fc.double({ min: -50, max: 50, noNaN: true }), (sample, shift) => {
        const moved = sortedSample(sample.map((value) => value + shift));
        const distance = wassersteinDistance(sortedSample(sample), moved);
        expect(distance).toBeCloseTo(Math.abs(shift), 6);
      }),
    );
    fc.assert(
      fc.property(numbers, numbers, (a, b) => {
        const gaps = [...a, ...b].map((at) => {
          const below = (sample: number[]) => sample.filter((value) => value <= at).length / sample.length;
          return Math.abs(below(a) - below(b));
        });
        expect(kolmogorovSmirnov(sortedSample(a), sortedSample(b)).statistic).toBeCloseTo(
          Math.max(...gaps),
          9,
        );
      }),
    );
  });
});

it('adjusted p-values keep the order and match the definition', () => {
  // R: p.adjust(c(0.01, 0.04, 0.03, 0.5), 'BH')
  expect(adjustedForFalseDiscoveries([0.01, 0.04, 0.03, 0.5]).map((p) => Number(p.toFixed(6)))).toEqual([
    0.04, 0.053333, 0.053333, 0.5,
  ]);
});

it('distinct values are estimated within five standard errors, and merging is the union', () => {
  const [odd, even, all] = [new HyperLogLog(), new HyperLogLog(), new HyperLogLog()];
  for (let value = 0; value < 50_000; value++) {
    (value % 2 ? odd : even).add(value);
    all.add(value);
  }
  odd.merge(even);
  expect(odd.registers).toEqual(all.registers);
  expect(Math.abs(all.estimate() / 50_000 - 1)).toBeLessThan(0.16);
});

it('heavy hitters are never counted too high, and too low by at most total / capacity', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 300 }),
      fc.integer({ min: 2, max: 12 }),
      (stream, capacity) => {
        const [first, second] = [new HeavyHitters(capacity), new HeavyHitters(capacity)];
        for (const [at, value] of stream.entries()) (at % 2 ? first : second).add(value);
        first.merge(second);
        expect(first.counts.size).toBeLessThanOrEqual(capacity);
        for (const value of new Set(stream)) {
          const exact = stream.filter((one) => one === value).length;
          const kept = first.counts.get(value) ?? 0;
          expect(kept).toBeLessThanOrEqual(exact);
          expect(kept).toBeGreaterThanOrEqual(exact - Math.ceil((2 * stream.length) / capacity));
        }
      },
    ),
  );
});

describe('performance without labels', () => {
  const random = sequence(7);
  const rows = Array.from({ length: 4_000 }, () => [random() * 2 - 1, random() * 2 - 1]);
  const truth = rows.map(([x, y]) => 1 / (1 + Math.exp(-(2 * x! - y! - 0.5))));
  const labels = truth.map((p) => (random() < p ? 1 : 0));

  it('estimates AUC, accuracy and log loss close to the values with labels', () => {
    const auc = weightedRocAuc(
      truth,
      labels,
      labels.map((label) => 1 - label),
    );
    const estimate = estimateClassMetric('auc', truth, truth);
    expect(Math.abs(estimate.value - auc)).toBeLessThan(0.02);
    expect(aucInterval(auc, 1_500, 2_500).low).toBeLessThan(auc);
    const right = labels.filter((label, at) => label === (truth[at]! >= 0.5 ? 1 : 0)).length / labels.length;
    expect(Math.abs(estimateClassMetric('accuracy', truth, truth).value - right)).toBeLessThan(0.03);
  });

  it('calibrates scores that are not probabilities', () => {
    const squeezed = truth.map((p) => p ** 3);
    const curve = fitCalibration(squeezed, labels);
    const mean = squeezed.reduce((sum, score) => sum + calibrated(curve, score), 0) / squeezed.length;
    const share = labels.filter((label) => label === 1).length / labels.length;
    expect(mean).toBeCloseTo(share, 2);
    const platt = fitPlatt(truth, labels);
    expect(plattProbability(platt, 0.7)).toBeCloseTo(0.7, 1);
  });

  it('calibrates very overconfident scores, for which a full Newton step diverges', () => {
    // Scores near 0 and 1 that are right four times in five.
    const sure = labels.map((label, at) => ((at % 5 === 0) === (label === 1) ? 1e-5 : 1 - 1e-5));
    const platt = fitPlatt(sure, labels);
    expect(plattProbability(platt, 1 - 1e-5)).toBeCloseTo(
      labels.filter((label, at) => sure[at]! > 0.5 && label === 1).length /
        sure.filter((p) => p > 0.5).length,
      2,
    );
    const few = sure.slice(0, 60).map((p, at) => (at % 3 === 0 ? p : at % 3 === 1 ? 0.3 : 1e-6));
    expect(Math.abs(fitPlatt(few, labels.slice(0, 60)).b)).toBeLessThan(50);
  });

  it('fits a logistic regression that finds the true weights', () => {
    const model = fitLogistic(rows.flat(), 2, labels, { ridge: 1e-6 });
    expect(logisticProbability(model, [0.5, 0.5])).toBeCloseTo(0.5, 1);
    expect(model.weights[0]! / model.deviations[0]!).toBeCloseTo(2, 0);
  });

  it("does not report rounding of a constant column's mean as variance", () => {
    const rows = Array.from({ length: 330 }, (_v, row) => [row % 3 === 0 ? 1 : 0, 1 / 3]);
    const model = fitLogistic(
      rows.flat(),
      2,
      rows.map(([first]) => first!),
    );
    const of = (constant: number) => logisticProbability(model, [1, constant]);
    expect(of(1 / 3)).toBeGreaterThan(0.8);
    expect(of(0)).toBeCloseTo(of(1 / 3), 6);
  });

  it('estimates the regression loss from rows with similar predictions', () => {
    const predictions = rows.map(([x]) => x!);
    const noisy = rows.map(([x]) => x! + (random() - 0.5) * (x! > 0 ? 2 : 0.2));
    const high = predictions.filter((value) => value > 0);
    const { value } = estimateSquaredLoss({ predictions, labels: noisy }, high);
    expect(Math.abs(value - 1 / 3)).toBeLessThan(0.05);
  });
});

/** Park and Miller's generator: numbers in [0, 1). */
function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}
