import { manifestOf } from '@hotloop/model/testing/manifests.ts';
import type { RolloutTraffic } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { shadowIdOf } from '@hotloop/proto/shadow-id.ts';
import { describe, expect, it, vi } from 'vitest';
import { asked, call, openPredictor, refusal } from './testing/open-predictor.ts';
import { versionRecord } from './testing/version-record.ts';

const FEATURES = [{ name: 'price', from: 'request.price' }];

function opened(rollouts: readonly RolloutTraffic[], rollout: object = {}) {
  const stand = openPredictor();
  const manifest = manifestOf({ name: 'shopper', features: FEATURES, rollout });
  const versions = [1, 2, 3].map((version) => ({ ...versionRecord(manifest), version }));
  stand.registry.set({
    ...{ name: 'shopper', liveVersion: 1, previousVersion: null, targetVersion: null, generation: 1 },
    versions: new Map(versions.map((record) => [record.version, record])),
    rollouts,
  });
  stand.registry.publish();
  return stand;
}

const traffic = (kind: RolloutTraffic['kind'], version: number, share = 1): RolloutTraffic => ({
  ...{ rolloutId: `r${version}`, kind, salt: 's' },
  arms: [{ version, share }],
});

describe('a prediction while a rollout is in progress', () => {
  it('is answered by the arm that its entity belongs to, and says so', async () => {
    const { predictor, inference } = opened([traffic('split', 2, 0.9999)]);
    const answer = await predictor.predict(asked(), call());
    expect(answer).toMatchObject({ version: 2, variant: 'canary' });
    expect(inference.items[0]).toMatchObject({ version: 2, variant: 'canary', propensity: 0.9999 });
  });

  it('is copied to every shadow, under an id that refers back to it', async () => {
    const { predictor, inference } = opened([traffic('shadow', 2), traffic('shadow', 3)]);
    const predictionId = randomPredictionIds().next(Date.now());
    const answer = await predictor.predict(asked({ predictionId }), call());
    expect(answer).toMatchObject({ version: 1, variant: 'live' });
    await vi.waitFor(() => expect(inference.items).toHaveLength(3));
    const copies = inference.items.slice(1);
    expect(copies.map(({ version, variant }) => [version, variant])).toEqual([
      [2, 'shadow'],
      [3, 'shadow'],
    ]);
    for (const { predictionId: id, version } of copies) expect(shadowIdOf(id, version)).toBe(predictionId);
  });

  it('is neither delayed nor failed by a shadow that hangs or fails', async () => {
    const { predictor, inference } = opened([traffic('shadow', 2)]);
    const answered = inference.infer.bind(inference);
    const hang = Promise.withResolvers<never>();
    hang.promise.catch(() => undefined);
    inference.infer = (item, signal) => (item.variant === 'shadow' ? hang.promise : answered(item, signal));
    for (let index = 0; index < 600; index++) await predictor.predict(asked(), call());
    hang.reject(new HotloopError('INTERNAL', 'the shadow crashed'));
    expect((await predictor.predict(asked(), call())).version).toBe(1);
  });

  it('is answered by the fallback model when its own cannot answer', async () => {
    const { predictor, inference, registry } = opened([], { fallback: 'steady' });
    const steady = manifestOf({ name: 'steady', features: FEATURES });
    registry.set({
      ...{ name: 'steady', liveVersion: 1, previousVersion: null, targetVersion: null, generation: 1 },
      versions: new Map([[1, versionRecord(steady)]]),
    });
    registry.publish();
    const answered = inference.infer.bind(inference);
    inference.infer = (item, signal) =>
      item.model === 'shopper'
        ? Promise.reject(new HotloopError('UNAVAILABLE', 'the runner ended'))
        : answered(item, signal);
    const answer = await predictor.predict(asked(), call());
    expect(answer).toMatchObject({ model: 'steady', degraded: ['fallback'] });
  });

  it("fails with the model's own error when the fallback cannot answer either", async () => {
    const { predictor, inference } = opened([], { fallback: 'nobody' });
    inference.failure = new HotloopError('UNAVAILABLE', 'the runner ended');
    expect(await refusal(predictor.predict(asked(), call()))).toMatchObject({ message: 'the runner ended' });
  });
});
