import { manifestOf, record } from '@hotloop/model/testing/manifests.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { describe, expect, it } from 'vitest';
import type { PredictionRequest } from './prediction.ts';
import { logistic } from './testing/memory-inference.ts';
import { asked, call, openPredictor, PLAIN, RANKER, refusal } from './testing/open-predictor.ts';
import { versionRecord } from './testing/version-record.ts';

const viewed = (entity: string, entityId: string, event = 'view', fields = {}) => ({
  ...{ entity, entityId, event, id: `${entityId}-${event}`, atMs: Date.now() - 1000 },
  arrivalUs: 0,
  fields: record<string>(fields),
});

describe('one prediction', () => {
  it('pins the version, computes features over the history, infers, decides and answers', async () => {
    const { predictor, store, inference, decision } = openPredictor();
    await store.append([viewed('user', 'u1')], Date.now());
    const answer = await predictor.predict(asked(), call());
    expect(answer).toMatchObject({ model: 'shopper', version: 1, variant: 'live', degraded: [] });
    expect(answer.decision.score).toBeCloseTo(logistic([2, 1]), 6);
    expect(inference.items[0]).toMatchObject({
      predictionId: answer.predictionId,
      caller: 'shop',
      rows: 1,
      columns: 2,
      candidates: [],
      entities: { user: 'u1' },
    });
    expect(decision.items[0]).toMatchObject({ predictionId: answer.predictionId, version: 1, excluded: [] });
  });

  it('marks a version that the caller names as pinned', async () => {
    const { predictor } = openPredictor();
    const answer = await predictor.predict(asked({ model: 'plain', version: '1' }), call());
    expect(answer.variant).toBe('pinned');
  });

  it('ranks candidates with their own history, and omits those in decision.rank.exclude', async () => {
    const { predictor, store, inference, decision } = openPredictor();
    await store.append([viewed('item', 'a'), viewed('user', 'u1', 'buy', { item: 'b' })], Date.now());
    const candidates = ['a', 'b', 'c'].map((id, at) => ({ id, attributes: record({ price: at }) }));
    const answer = await predictor.predict(asked({ model: 'ranker', candidates }), call());
    expect(answer.decision.ranked.map(({ id }) => id)).not.toContain('b');
    expect(decision.items[0]?.excluded).toEqual(['b']);
    const features = new Float32Array(inference.items[0]?.features.slice().buffer ?? new ArrayBuffer());
    expect([...features]).toEqual([0, 1, 1, 0, 2, 0]);
    expect(inference.items[0]?.candidates).toEqual(['a', 'b', 'c']);
  });

  it('passes to the decision only the data that its expression may use', async () => {
    const { predictor, decision, registry } = openPredictor();
    const combining = manifestOf({
      ...RANKER,
      name: 'combining',
      decision: { combine: 'score + item.price' },
    });
    registry.set({
      ...{ name: 'combining', liveVersion: 1, previousVersion: null, targetVersion: null, generation: 1 },
      versions: new Map([[1, versionRecord(combining)]]),
    });
    const candidates = [{ id: 'a', attributes: record({ price: 4 }) }];
    for (const model of ['ranker', 'combining'])
      await predictor.predict(asked({ model, candidates }), call());
    const [without, with_] = decision.items;
    expect([without?.request, without?.entities, without?.candidates]).toEqual([
      record({}),
      record({}),
      [{ id: 'a', attributes: record({}) }],
    ]);
    expect([with_?.request, with_?.entities, with_?.candidates]).toEqual([
      record({ price: 2 }),
      record({ user: 'u1' }),
      candidates,
    ]);
  });

  it('continues without a history that cannot be reached, says so, and stops asking after a few failures', async () => {
    const { predictor, store, inference, history } = openPredictor();
    store.away = true;
    for (let index = 0; index < 8; index++) {
      const answer = await predictor.predict(asked({ wantFeatureStatuses: true }), call());
      expect(answer.degraded).toEqual(['history']);
      expect(answer.featureStatuses).toEqual([
        { feature: 'price', status: 'FRESH', candidate: '' },
        { feature: 'views', status: 'DEGRADED', candidate: '' },
      ]);
    }
    expect(inference.items.at(-1)?.degraded).toEqual(['history']);
    expect(history.open).toBe(true);
  });

  it('never reads the history for a plan that needs none', async () => {
    const { predictor, store } = openPredictor();
    store.away = true;
    const answer = await predictor.predict(asked({ model: 'plain', version: '1' }), call());
    expect(answer.degraded).toEqual([]);
  });

  it('answers a repeated id again, under the same id', async () => {
    const { predictor, inference } = openPredictor();
    const predictionId = randomPredictionIds().next(Date.now());
    const first = await predictor.predict(asked({ predictionId }), call());
    const second = await predictor.predict(asked({ predictionId }), call());
    expect(second).toEqual(first);
    expect(inference.items.map((item) => item.predictionId)).toEqual([predictionId, predictionId]);
  });

  it('records one root span with the caller as a link, and one span for each step', async () => {
    const { predictor, tracing, inference } = openPredictor();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await predictor.predict(asked({ traceparent }), call());
    expect(tracing.spans.map(({ name }) => name)).toEqual(['predict', 'features', 'infer', 'decide']);
    expect(tracing.spans[0]?.options).toMatchObject({ root: true, links: [traceparent] });
    expect(tracing.spans.map(({ ended }) => ended)).toEqual([1, 1, 1, 1]);
    inference.failure = new HotloopError('UNAVAILABLE', 'away');
    await refusal(predictor.predict(asked(), call()));
    expect(tracing.spans.slice(4).map(({ name, failed }) => [name, failed])).toEqual([
      ['predict', true],
      ['features', false],
      ['infer', true],
    ]);
  });
});

describe('one prediction is rejected', () => {
  const now = Date.now();
  const ids = randomPredictionIds();
  const candidate = (id: string) => ({ id, attributes: record({ price: 1 }) });
  const cases: [string, Partial<PredictionRequest>, string, string][] = [
    ['an unknown model', { model: 'nobody' }, 'NOT_FOUND', 'nobody'],
    ['an unknown version', { version: '7' }, 'NOT_FOUND', '7'],
    ['a malformed version', { version: 'newest' }, 'INVALID_ARGUMENT', 'newest'],
    ['a model without a live version', { model: 'plain' }, 'NOT_FOUND', 'live'],
    ['a model of raw tensors', { model: 'raw' }, 'FAILED_PRECONDITION', 'Open Inference Protocol'],
    ['a version whose manifest cannot be compiled', { model: 'broken' }, 'FAILED_PRECONDITION', 'who'],
    ['a missing feature', { request: record({}) }, 'INVALID_ARGUMENT', 'price'],
    ['a mistyped feature', { request: record({ price: 'cheap' }) }, 'INVALID_ARGUMENT', 'price'],
    ['an id that is not a UUIDv7', { predictionId: 'abc' }, 'INVALID_ARGUMENT', 'prediction_id'],
    ['an id a day old', { predictionId: ids.next(now - 90_000_000) }, 'INVALID_ARGUMENT', '24 hours'],
    ['an id in the future', { predictionId: ids.next(now + 900_000) }, 'INVALID_ARGUMENT', '5 minutes'],
    ['an entity without id', { entities: record({ user: '' }) }, 'INVALID_ARGUMENT', 'user'],
    [
      'an entity with a very long id',
      { entities: record({ user: 'u'.repeat(300) }) },
      'INVALID_ARGUMENT',
      'user',
    ],
    [
      'candidates where nothing is ranked',
      { candidates: [candidate('a')] },
      'INVALID_ARGUMENT',
      'candidates',
    ],
    ['a ranking of nothing', { model: 'ranker' }, 'INVALID_ARGUMENT', 'candidate'],
    [
      'a repeated candidate',
      { model: 'ranker', candidates: [candidate('a'), candidate('a')] },
      'INVALID_ARGUMENT',
      '"a"',
    ],
  ];
  it.each(cases)('for %s', async (_, given, code, word) => {
    const { predictor, inference } = openPredictor();
    const error = await refusal(predictor.predict(asked(given), call()));
    expect(error.code).toBe(code);
    expect(error.message).toContain(word);
    expect(inference.items).toEqual([]);
    expect(predictor.inFlight).toBe(0);
  });

  it('beyond the limit of concurrent predictions, and accepted again once there is room', async () => {
    const { predictor, inference } = openPredictor({ limits: { maxInFlight: 2 } });
    const gate = Promise.withResolvers<void>();
    inference.hold = gate.promise;
    const waiting = [predictor.predict(asked(), call()), predictor.predict(asked(), call())];
    expect((await refusal(predictor.predict(asked(), call()))).code).toBe('RESOURCE_EXHAUSTED');
    gate.resolve();
    await Promise.all(waiting);
    await predictor.predict(asked(), call());
  });

  it('beyond the limit of concurrent cells, completely or not at all', async () => {
    const { predictor, inference } = openPredictor({ limits: { maxCellsInFlight: 5 } });
    const gate = Promise.withResolvers<void>();
    inference.hold = gate.promise;
    const candidates = (count: number) => Array.from({ length: count }, (_, index) => candidate(`c${index}`));
    const two = asked({ model: 'ranker', candidates: candidates(2) });
    const waiting = predictor.predict(two, call());
    expect((await refusal(predictor.predict(two, call()))).code).toBe('RESOURCE_EXHAUSTED');
    gate.resolve();
    await waiting;
    await predictor.predict(two, call());
    expect(inference.items).toHaveLength(2);
  });

  it('when its deadline has passed before compute was called', async () => {
    const { predictor, inference } = openPredictor();
    const error = await refusal(predictor.predict(asked(), call({ timeoutMs: 0 })));
    expect(error.code).toBe('DEADLINE_EXCEEDED');
    expect(inference.items).toEqual([]);
  });

  it('when its caller has cancelled', async () => {
    const { predictor, inference } = openPredictor();
    const error = await refusal(predictor.predict(asked(), call({ signal: AbortSignal.abort() })));
    expect(error.code).toBe('CANCELLED');
    expect(inference.items).toEqual([]);
  });

  it('passes on the remaining time, and the errors of compute', async () => {
    const { predictor, inference } = openPredictor();
    inference.failure = new HotloopError('INTERNAL', 'the output is not finite', {
      reason: 'nonfinite_output',
    });
    const error = await refusal(predictor.predict(asked(), call({ timeoutMs: 500 })));
    expect(error.reason).toBe('nonfinite_output');
    expect(inference.items[0]?.timeoutMs).toBeGreaterThan(0);
    expect(inference.items[0]?.timeoutMs).toBeLessThanOrEqual(500);
  });

  it('only until a newly registered version is visible', async () => {
    const { predictor, registry } = openPredictor();
    registry.set({
      name: 'fresh',
      liveVersion: 1,
      previousVersion: null,
      targetVersion: null,
      generation: 1,
      versions: new Map([[1, versionRecord(manifestOf({ ...PLAIN, name: 'fresh' }))]]),
    });
    const answer = await predictor.predict(asked({ model: 'fresh' }), call());
    expect(answer.version).toBe(1);
  });
});
