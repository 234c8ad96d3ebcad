import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { describe, expect, it } from 'vitest';
import { banditShare } from './bandit-share.ts';
import { compareBeforeAfter, comparePairs, compareSplit, comparisonOf } from './compare-quality.ts';
import { confidenceSequence, SequenceGatherer } from './confidence-sequence.ts';
import { judgeQuality } from './judge-quality.ts';
import { stabilityIndex } from './stability-index.ts';
import { simulateCanary } from './testing/simulate-canary.ts';

describe('a confidence sequence', () => {
  it('contains the mean at every time in at least the promised share of runs', () => {
    const runs = 300;
    let missed = 0;
    for (let seed = 1; seed <= runs; seed++) {
      const random = new SeededRandom(seed);
      const gatherer = new SequenceGatherer();
      let isOut = false;
      for (let n = 1; n <= 600; n++) {
        gatherer.add(random.uniform() < 0.3 ? 1 : 0, 1);
        if (n % 20 !== 0) continue;
        const { lower, upper } = confidenceSequence(gatherer.sums, 0.05);
        isOut ||= lower > 0.3 || upper < 0.3;
      }
      if (isOut) missed++;
    }
    expect(missed / runs).toBeLessThanOrEqual(0.1);
  });

  it('narrows around the mean', () => {
    const gatherer = new SequenceGatherer();
    for (let n = 0; n < 50_000; n++) gatherer.add(n % 5 === 0 ? 0 : 1, 1);
    const { lower, upper } = confidenceSequence(gatherer.sums, 0.025);
    expect(lower).toBeGreaterThan(0.785);
    expect(upper).toBeLessThan(0.815);
  });
});

describe('comparisons', () => {
  it('weigh a split by its shares', () => {
    const random = new SeededRandom(7);
    const answers = Array.from({ length: 60_000 }, (_, index) => {
      const share = index < 30_000 ? 0.1 : 0.5;
      const version = random.uniform() < share ? ('candidate' as const) : ('live' as const);
      return { version, share, quality: random.uniform() < (version === 'live' ? 0.8 : 0.7) ? 1 : 0 };
    });
    const { difference, lower, upper } = comparisonOf(compareSplit(answers));
    expect(difference).toBeCloseTo(-0.1, 1);
    expect(lower).toBeLessThan(-0.1);
    expect(upper).toBeLessThan(0);
  });

  it('find a difference in pairs and between before and after', () => {
    const pairs = Array.from({ length: 500 }, () => ({ candidate: 0.2, live: 0.9 }));
    expect(comparisonOf(comparePairs(pairs)).upper).toBeLessThan(0);
    const after = Array.from({ length: 500 }, () => 0.1);
    const before = Array.from({ length: 500 }, () => 0.9);
    expect(comparisonOf(compareBeforeAfter(after, before)).upper).toBeLessThan(0);
  });

  it('conclude nothing from a handful of outcomes', () => {
    const sums = comparePairs([{ candidate: 0, live: 1 }]);
    expect(judgeQuality(sums, { drop: 0.02, minOutcomes: 100, nextShare: 1 })).toMatchObject({
      kind: 'wait',
      needed: 198,
    });
  });
});

it('roll back equal versions, and promote worse ones, in less than one of twenty simulated canaries', () => {
  const world = {
    live: 0.8,
    steps: [0.05, 0.25, 0.5],
    drop: 0.02,
    delay: 5_000,
    requests: 60_000,
    lookEvery: 2_000,
  };
  const ends = (candidate: number) =>
    Array.from({ length: 20 }, (_, index) => simulateCanary({ ...world, candidate, seed: index + 1 }));
  expect(ends(0.8).filter((end) => end === 'rolled_back').length).toBeLessThanOrEqual(1);
  expect(ends(0.77).filter((end) => end === 'live').length).toBeLessThanOrEqual(1);
  expect(ends(0.3).every((end) => end === 'rolled_back')).toBe(true);
});

it('Thompson shares follow the posterior', () => {
  const even = { outcomes: 100, mean: 0.5 };
  expect(banditShare(even, even)).toBeCloseTo(0.5, 2);
  expect(banditShare({ outcomes: 1_000, mean: 0.6 }, { outcomes: 1_000, mean: 0.5 })).toBe(0.95);
});

it('the stability index is near 0 for the same scores and large for moved ones', () => {
  const scores = Array.from({ length: 1_000 }, (_, index) => index / 1_000);
  expect(stabilityIndex(scores, scores)).toBeCloseTo(0, 6);
  expect(
    stabilityIndex(
      scores,
      scores.map((score) => score / 2),
    ),
  ).toBeGreaterThan(0.5);
  expect(stabilityIndex([], scores)).toBeNull();
});
