import { rank } from '@hotloop/model/decision/rank.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { evaluateOffPolicy } from '@hotloop/model/statistics/off-policy.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { describe, expect, it } from 'vitest';
import { loggedRequests, type ServedRequest } from './replay-ranking.ts';

const EPSILON = 0.3;
const manifest = parseManifest(`name: m
task: ranking
features:
  - {name: x, from: item.x}
decision: {rank: {top_k: 2}, explore: {epsilon: ${EPSILON}}}
`);
const ITEMS = ['a', 'b', 'c', 'd'];
/** Chance of a click, by item: independent of the place. */
const CLICKS = [0.1, 0.2, 0.3, 0.6];

/** Requests served by a policy that likes the items in their order; clicks are drawn. */
function simulated(count: number, seed: number) {
  const random = new SeededRandom(seed);
  const ids = randomPredictionIds();
  const labels = new Float32Array(count * ITEMS.length).fill(Number.NaN);
  const requests = Array.from({ length: count }, (_, index): ServedRequest => {
    const predictionId = ids.next(Date.now());
    const options = { topK: 2, epsilon: EPSILON, seed: predictionId };
    const shown = rank(ITEMS, [4, 3, 2, 1], new Set(), options);
    for (const { id } of shown)
      labels[index * ITEMS.length + ITEMS.indexOf(id)] =
        random.uniform() < CLICKS[ITEMS.indexOf(id)]! ? 1 : 0;
    return { predictionId, candidates: ITEMS, firstRow: index * ITEMS.length, rows: ITEMS.length, shown };
  });
  return { requests, labels };
}

/** Scores of a candidate that likes the items in the reverse order. */
const reversed = (count: number) =>
  Float32Array.from({ length: count * ITEMS.length }, (_, row) => row % ITEMS.length);

describe('replayed rankings', () => {
  it('estimate the reward of another order from exploration', () => {
    const count = 6000;
    const { requests, labels } = simulated(count, 1);
    const { logged, withoutPropensity, changed } = loggedRequests(
      requests,
      reversed(count),
      labels,
      manifest,
    );
    expect(withoutPropensity).toBe(0);
    expect(changed).toBeGreaterThan(0.7);
    const value = evaluateOffPolicy(logged);
    // By its own exploration each place is random with chance EPSILON.
    const anywhere = CLICKS.reduce((sum, click) => sum + click, 0) / ITEMS.length;
    const truth = (1 - EPSILON) * (0.6 + 0.3) + EPSILON * 2 * anywhere;
    for (const { interval, value: estimate } of [value.ips, value.snips, value.doublyRobust]) {
      expect(Math.abs(estimate - truth)).toBeLessThan(0.1);
      expect(interval.high - interval.low).toBeLessThan(0.3);
    }
    expect(value.logged.value).toBeLessThan(0.5);
  });

  it('omit requests with only one possible order', () => {
    const { requests, labels } = simulated(3, 2);
    const certain = requests.map((one) => ({
      ...one,
      shown: one.shown.map((entry) => ({ ...entry, propensity: 1 })),
    }));
    expect(loggedRequests(certain, reversed(3), labels, manifest)).toMatchObject({
      logged: [],
      withoutPropensity: 3,
    });
  });
});
