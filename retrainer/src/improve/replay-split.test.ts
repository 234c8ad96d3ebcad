import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { describe, expect, it } from 'vitest';
import { type SplitAnswer, versionValue } from './replay-split.ts';

/** Version 2 gets more requests in the evening, when everything succeeds less often, as after a bandit's change of shares. */
function split(random: SeededRandom, count: number): SplitAnswer[] {
  return Array.from({ length: count }, (_, index) => {
    const isEvening = index >= count / 2;
    const share = isEvening ? 0.9 : 0.1;
    const version = random.uniform() < share ? 2 : 1;
    const success = (isEvening ? 0.3 : 0.7) + (version === 2 ? 0.1 : 0);
    const quality = random.uniform() < success ? 1 : 0;
    return { version, quality, propensity: version === 2 ? share : 1 - share };
  });
}

const mean = (answers: readonly SplitAnswer[], version: number) => {
  const own = answers.filter((answer) => answer.version === version);
  return own.reduce((sum, { quality }) => sum + quality, 0) / own.length;
};

describe('the value of a version in splits', () => {
  it('is unbiased when shares changed with the time of day, by the logged propensities', () => {
    const answers = split(new SeededRandom(7), 40_000);
    // The truth is 0.5 and 0.6.
    for (const [version, truth] of [
      [1, 0.5],
      [2, 0.6],
    ] as const) {
      const { value, answered } = versionValue(answers, version);
      expect(answered).toBeGreaterThan(10_000);
      for (const estimate of [value.ips, value.snips, value.doublyRobust]) {
        expect(estimate.interval.low).toBeLessThan(truth);
        expect(estimate.interval.high).toBeGreaterThan(truth);
      }
    }
    // The planted mistake: plain means say that the better version is the worse one.
    expect(mean(answers, 2)).toBeLessThan(mean(answers, 1));
  });
});
