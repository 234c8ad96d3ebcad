import { manifestOf } from '@hotloop/model/testing/manifests.ts';
import { isPredictionId } from '@hotloop/proto/prediction-id.ts';
import { expect, it } from 'vitest';
import { stepIdOf } from './run-pipeline.ts';
import { asked, call, openPredictor, refusal } from './testing/open-predictor.ts';
import { versionRecord } from './testing/version-record.ts';

const STEP = { model: 'shopper', version: 1, as: 'intent' };

function opened(pipeline: readonly { model: string; version: number; as: string }[]) {
  const stand = openPredictor();
  const manifest = manifestOf({
    name: 'offer',
    features: [
      { name: 'intent', from: 'request.intent_score' },
      { name: 'price', from: 'request.price' },
    ],
    pipeline,
  } as never);
  stand.registry.set({
    ...{ name: 'offer', liveVersion: 1, previousVersion: null, targetVersion: null, generation: 1 },
    versions: new Map([[1, versionRecord(manifest)]]),
  });
  stand.registry.publish();
  return stand;
}

it('runs the steps of a pipeline first, each logged under its own id, which is derived from the main id', async () => {
  const { predictor, inference } = opened([STEP]);
  const request = asked({ model: 'offer', predictionId: '' });
  const alone = await predictor.predict(asked({ model: 'shopper' }), call());
  inference.items.length = 0;
  const whole = await predictor.predict(request, call());
  expect(
    inference.items.map(({ model, version, predictionId }) => ({ model, version, predictionId })),
  ).toEqual([
    { model: 'shopper', version: 1, predictionId: stepIdOf(whole.predictionId, 'intent') },
    { model: 'offer', version: 1, predictionId: whole.predictionId },
  ]);
  expect(isPredictionId(stepIdOf(whole.predictionId, 'intent'))).toBe(true);
  const features = inference.items[1]?.features ?? new Uint8Array();
  expect(new Float32Array(features.slice().buffer)[0]).toBeCloseTo(alone.decision.score, 6);
});

it('says which step failed, and rejects an endless pipeline', async () => {
  const lost = opened([{ ...STEP, version: 9 }]);
  expect(await refusal(lost.predictor.predict(asked({ model: 'offer' }), call()))).toMatchObject({
    code: 'NOT_FOUND',
    message: expect.stringContaining('step intent (shopper version 9)'),
  });
  const endless = opened([{ model: 'offer', version: 1, as: 'intent' }]);
  expect(await refusal(endless.predictor.predict(asked({ model: 'offer' }), call()))).toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringContaining('deeper than'),
  });
});
