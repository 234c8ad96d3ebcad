import { manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { describe, expect, it } from 'vitest';
import { groupSignals } from '../incidents/incident.ts';
import { baselineOf, sketchLayout } from '../sketches/feature-sketch.ts';
import { judgeFeatures } from './judge-features.ts';
import { notJudgedLines } from './not-judged.ts';
import { expectedCalls, judgeCallers, judgeTraffic, withRefused } from './traffic.ts';

const manifest = manifestSchema.parse({
  name: 'm',
  features: [
    { name: 'price', from: 'request.price', missing: 0 },
    { name: 'month', from: 'request.month', transform: [{ one_hot: ['Jan', 'Feb', 'Mar'] }] },
    { name: 'age', from: 'request.age', missing: 0 },
  ],
});
const seed = 11;

function rows(
  n: number,
  random: SeededRandom,
  change: { shift?: number; times?: number; swap?: boolean } = {},
) {
  const features = new Float32Array(n * 5);
  for (let row = 0; row < n; row++) {
    features[row * 5] = (random.normal() * 3 + 10 + (change.shift ?? 0)) * (change.times ?? 1);
    const month = random.uniform() < 0.6 ? 0 : random.uniform() < 0.7 ? 1 : 2;
    features[row * 5 + 1 + (change.swap ? (month + 1) % 3 : month)] = 1;
    features[row * 5 + 4] = random.normal();
  }
  return features;
}

function judge(now: Float32Array, statuses = new Uint8Array(0)) {
  const random = new SeededRandom(seed);
  return judgeFeatures({
    layout: sketchLayout(manifest),
    baseline: baselineOf(manifest, rows(10_000, random), 10_000),
    current: baselineOf(manifest, now, now.length / 5, statuses),
    monitor: manifest.monitor,
    maxMissing: new Map(),
    against: 'training',
  });
}

describe('features against their baseline', () => {
  const random = new SeededRandom(seed + 1);
  const kinds = (found: ReturnType<typeof judge>) =>
    found.signals.map(({ kind, feature }) => `${kind} ${feature}`);

  it('finds nothing where nothing changed', () => {
    expect(judge(rows(5_000, random)).signals).toEqual([]);
  });

  it('finds a shift, a swap of categories and a change of unit, each on its feature alone', () => {
    expect(kinds(judge(rows(5_000, random, { shift: 1.5 })))).toEqual(['drift price']);
    expect(kinds(judge(rows(5_000, random, { swap: true })))).toEqual(['drift month']);
    expect(kinds(judge(rows(5_000, random, { times: 1000 })))).toEqual(['drift price', 'out_of_range price']);
  });

  it('finds 5 % missing', () => {
    const statuses = new Uint8Array(5_000 * 3);
    for (let row = 0; row < 250; row++) statuses[row * 3] = 1;
    expect(kinds(judge(rows(5_000, random), statuses))).toEqual(['missing price']);
  });

  it('reports what it cannot judge', () => {
    expect(judge(rows(20, random)).notJudged[0]).toEqual({
      feature: 'price',
      reason: '20 rows in the window; 200 are needed',
    });
    const few = ['a', 'b', 'c', 'd', 'e'].map((feature) => ({ feature, reason: 'too few rows' }));
    expect(notJudgedLines([...few, { feature: null, reason: 'no version is live' }])).toEqual([
      'a, b, c and 2 more: too few rows',
      'no version is live',
    ]);
  });

  it('opens one incident for the features of one source', () => {
    const { signals } = judge(rows(5_000, random, { times: 1000 }));
    const twice = [...signals, ...signals.map((signal) => ({ ...signal, feature: 'age' }))];
    expect(groupSignals('m', signals).map(({ cause }) => cause)).toEqual(['feature:price']);
    expect(groupSignals('m', twice).map(({ cause }) => cause)).toEqual(['source:request.price']);
  });
});

describe('traffic', () => {
  const hour = 3_600_000;
  const start = Date.UTC(2026, 0, 5);
  const now = start + 28 * 24 * hour;
  // Busy from 8 to 20, quiet at night.
  const hours = Array.from({ length: 28 * 24 }, (_v, index) => ({
    at: start + index * hour,
    calls: index % 24 >= 8 && index % 24 < 20 ? 1_000 + ((index * 37) % 60) : 5,
    errors: 0,
  }));

  it('expects the rate of the hour of the week', () => {
    expect(expectedCalls(hours, now)!.rate).toBeLessThan(300);
    expect(expectedCalls(hours, now - 12 * hour)!.rate).toBeGreaterThan(700);
  });

  it('reports a caller that stopped while another continues, but not new ones or those silent at night', () => {
    const judgeAt = (at: number, stoppedMs: number) =>
      judgeCallers(
        [
          { caller: 'web', hours: hours.filter((one) => one.at < at - stoppedMs), lastAt: at - stoppedMs },
          { caller: 'app', hours: hours.filter((one) => one.at < at), lastAt: at },
          { caller: 'new', hours: [{ at: at - 2 * hour, calls: 900, errors: 0 }], lastAt: at - hour },
        ],
        manifest.monitor,
        at,
      ).map(({ source }) => source);
    expect(judgeAt(now - 10 * hour, hour)).toEqual(['caller web']);
    expect(judgeAt(now - 10 * hour, 60_000)).toEqual([]);
    expect(judgeAt(now - 20 * hour, hour)).toEqual([]);
  });

  it('reports a caller whose calls are refused before the log as failed, not as silent', () => {
    const refused = [0, 1, 2].map((minute) => ({
      ...{ model: 'm', minute: now - (3 - minute) * 60_000, caller: 'shop', code: 'INVALID_ARGUMENT' },
      calls: 40,
    }));
    const minutes = withRefused([{ at: now - 180_000, calls: 60, errors: 0 }], refused);
    expect(minutes.map(({ calls, errors }) => [calls, errors])).toEqual([
      [100, 40],
      [40, 40],
      [40, 40],
    ]);
    const facts = { hours, minutes, refused, lastAt: now - 10_000, readTo: now };
    expect(judgeTraffic(facts, manifest.monitor, now, 60_000)).toMatchObject([
      {
        kind: 'errors',
        message:
          '67 % of the calls of the last ten minutes failed; 1.0 % is usual: mostly refused at the door, INVALID_ARGUMENT of caller shop',
      },
    ]);
  });

  it('raises no alarm on a quiet night, and one for the same silence by day', () => {
    const judgeAt = (at: number) =>
      judgeTraffic(
        { hours: hours.filter((one) => one.at < at), minutes: [], lastAt: at - 90_000, readTo: at },
        manifest.monitor,
        at,
        60_000,
      );
    expect(judgeAt(now - 22 * hour).map(({ kind }) => kind)).toEqual([]);
    expect(judgeAt(now - 10 * hour).map(({ kind }) => kind)).toEqual(['silence']);
  });
});
