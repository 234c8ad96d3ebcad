import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../onnx/seeded-random.ts';
import { evaluateOffPolicy, type LoggedRequest, offPolicyWarnings } from './off-policy.ts';

/** Requests with one action each. */
const single = (
  reward: number,
  logged: number,
  target: number,
  predicted = 0,
  expected = 0,
): LoggedRequest => ({
  actions: [{ reward, logged, target, predicted }],
  expected,
  slots: 1,
});

describe('off-policy evaluation', () => {
  it('returns the logged mean for the logged policy', () => {
    const action = fc.record({
      reward: fc.integer({ min: 0, max: 5 }),
      p: fc.double({ min: 0.01, max: 1, noNaN: true }),
    });
    void fc.assert(
      fc.property(fc.array(action, { minLength: 2, maxLength: 40 }), (drawn) => {
        const value = evaluateOffPolicy(drawn.map(({ reward, p }) => single(reward, p, p)));
        expect(value.ips.value).toBeCloseTo(value.logged.value, 9);
        expect(value.snips.value).toBeCloseTo(value.logged.value, 9);
        expect(value.effectiveSamples).toBeCloseTo(drawn.length, 6);
      }),
    );
  });

  it('is exact when all actions are enumerated, whatever the policies', () => {
    const world = fc.array(
      fc.record({
        logged: fc.integer({ min: 1, max: 9 }),
        target: fc.integer({ min: 0, max: 9 }),
        reward: fc.integer({ min: 0, max: 3 }),
        predicted: fc.double({ min: 0, max: 3, noNaN: true }),
      }),
      { minLength: 2, maxLength: 6 },
    );
    void fc.assert(
      fc.property(world, (actions) => {
        const [loggedSum, targetSum] = [
          actions.reduce((sum, { logged }) => sum + logged, 0),
          actions.reduce((sum, { target }) => sum + target, 0),
        ];
        fc.pre(targetSum > 0);
        const p = (count: number, all: number) => count / all;
        const truth = actions.reduce((sum, { target, reward }) => sum + p(target, targetSum) * reward, 0);
        const expected = actions.reduce((sum, one) => sum + p(one.target, targetSum) * one.predicted, 0);
        // Each action occurs as often as the logged policy takes it, so the sample is the whole distribution.
        const log = actions.flatMap((one) =>
          Array.from({ length: one.logged }, () =>
            single(one.reward, p(one.logged, loggedSum), p(one.target, targetSum), one.predicted, expected),
          ),
        );
        const value = evaluateOffPolicy(log);
        expect(value.ips.value).toBeCloseTo(truth, 9);
        expect(value.snips.value).toBeCloseTo(truth, 9);
        expect(value.doublyRobust.value).toBeCloseTo(truth, 9);
      }),
    );
  });

  it('detects wrong propensities (check of the test)', () => {
    const random = new SeededRandom(3);
    const log = Array.from({ length: 4000 }, () => {
      const first = random.uniform() < 0.8;
      return single(first ? 0 : 1, first ? 0.5 : 0.5, first ? 0 : 1);
    });
    // The true value is 1; with the wrong propensity of 0.5 instead of 0.2, IPS is far below it.
    expect(evaluateOffPolicy(log).ips.interval.high).toBeLessThan(0.6);
  });

  it('warns when there is too little exploration', () => {
    const thin = [single(1, 0.01, 1), ...Array.from({ length: 500 }, () => single(0, 0.99, 0.001))];
    const value = evaluateOffPolicy(thin);
    expect(offPolicyWarnings(value, 3)).toEqual([
      expect.stringContaining('too little exploration'),
      expect.stringContaining('of the total weight'),
      expect.stringContaining('3 requests are left out'),
    ]);
    expect(offPolicyWarnings(evaluateOffPolicy([]), 0)).toHaveLength(1);
  });
});
