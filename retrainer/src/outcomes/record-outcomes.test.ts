import { systemClock } from '@hotloop/platform/clock.ts';
import type { Span, SpanOptions, Tracing } from '@hotloop/platform/telemetry/tracing.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  linearModel,
  logPredictions,
  manifestText,
  openStores,
  push,
  type Stores,
} from '../testing/fixture.ts';
import type { ReportedOutcome } from './accept-outcome.ts';
import { modelRules } from './model-rules.ts';
import { type OutcomeDependencies, recordOutcomes } from './record-outcomes.ts';

const P1 = '018bcfe5-6800-7000-8000-000000000001';
const KEYED = manifestText('keyed', 'outcome: {join: [user], window: 1h, otherwise: 0}\n');
const JUDGED = manifestText('judged', 'outcome: {positive: "event.type == \'purchase\'", otherwise: 0}\n');

const report = (change: Partial<ReportedOutcome> = {}): ReportedOutcome => ({
  id: 'o1',
  source: 'sdk',
  kind: '',
  predictionId: P1,
  keys: {},
  value: 1,
  attributes: {},
  occurredAt: '',
  ...change,
});

function dependenciesOf(stores: Stores, tracing = stores.tracing): OutcomeDependencies {
  return {
    database: stores.pool,
    registry: stores.registry,
    rules: modelRules(stores.registry),
    tracing,
    clock: systemClock,
  };
}

describe('recording outcomes', () => {
  it('keeps each report once, across calls and within one', async () => {
    await using stores = await openStores();
    await push(stores, manifestText('m'), linearModel());
    const dependencies = dependenciesOf(stores);
    const once = { model: 'm', report: report() };
    const other = { model: 'm', report: report({ id: 'o2' }) };
    const first = await recordOutcomes([once, once, other], dependencies);
    expect(first.map(({ id, status }) => [id, status])).toEqual([
      ['o1', 'accepted'],
      ['o1', 'duplicate'],
      ['o2', 'accepted'],
    ]);
    const again = await recordOutcomes([once, other], dependencies);
    expect(again.map(({ status }) => status)).toEqual(['duplicate', 'duplicate']);
    const { rows } = await stores.pool.query('SELECT count(*)::int AS n FROM outcome');
    expect(rows).toEqual([{ n: 2 }]);
  });

  it('keeps an outcome of an unknown prediction', async () => {
    await using stores = await openStores();
    await push(stores, manifestText('m'), linearModel());
    const [verdict] = await recordOutcomes([{ model: 'm', report: report() }], dependenciesOf(stores));
    expect(verdict).toMatchObject({ status: 'accepted', error: null });
  });

  describe('that cannot be stored', () => {
    let stores: Stores;
    beforeAll(async () => {
      stores = await openStores();
      await push(stores, manifestText('m'), linearModel());
      await push(stores, KEYED, linearModel());
    });
    afterAll(() => stores[Symbol.asyncDispose]());

    it.each<[string, string, Partial<ReportedOutcome>, string, string]>([
      ['no model', '', {}, 'INVALID_ARGUMENT', 'model'],
      ['an unknown model', 'nope', {}, 'NOT_FOUND', 'nope'],
      ['no id', 'm', { id: '' }, 'INVALID_ARGUMENT', 'id'],
      ['an endless id', 'm', { id: 'x'.repeat(201) }, 'INVALID_ARGUMENT', 'id'],
      ['an id that Postgres cannot hold', 'm', { id: 'a\0b' }, 'INVALID_ARGUMENT', 'id'],
      ['no prediction and no keys', 'm', { predictionId: '' }, 'INVALID_ARGUMENT', 'prediction_id'],
      ['a prediction id that is none', 'm', { predictionId: 'abc' }, 'INVALID_ARGUMENT', 'prediction_id'],
      ['a missing key', 'keyed', { predictionId: '' }, 'INVALID_ARGUMENT', 'keys.user'],
      ['a value that does not fit', 'm', { value: 2 }, 'INVALID_ARGUMENT', 'must be 0, 1'],
      ['a label that is not declared', 'm', { value: 'maybe' }, 'INVALID_ARGUMENT', 'must be 0, 1'],
      ['a list for a value', 'm', { value: [1, 0] }, 'INVALID_ARGUMENT', 'must be 0, 1'],
      ['no value where nothing judges', 'm', { value: null }, 'INVALID_ARGUMENT', 'no value'],
      ['an unknown kind', 'm', { kind: 'undo' }, 'INVALID_ARGUMENT', 'kind'],
      ['a time that is none', 'm', { occurredAt: 'yesterday' }, 'INVALID_ARGUMENT', 'occurred_at'],
      ['a time next year', 'm', { occurredAt: '2999-01-01T00:00:00Z' }, 'INVALID_ARGUMENT', 'occurred_at'],
      [
        'an attribute that Postgres cannot hold',
        'm',
        { attributes: { a: 'x\0' } },
        'INVALID_ARGUMENT',
        'U+0000',
      ],
      ['half a surrogate pair in its id', 'm', { id: 'a\ud800' }, 'INVALID_ARGUMENT', 'id'],
      [
        'half a surrogate pair in a key',
        'keyed',
        { predictionId: '', keys: { user: '\udc00' } },
        'INVALID_ARGUMENT',
        'keys.user',
      ],
      [
        'half a surrogate pair in the name of an attribute',
        'm',
        { attributes: { '\ud800': 1 } },
        'INVALID_ARGUMENT',
        'surrogate',
      ],
      [
        'half a surrogate pair in a list',
        'm',
        { attributes: { a: ['x', '\udfff'] } },
        'INVALID_ARGUMENT',
        'surrogate',
      ],
    ])('refuses only %s, and stores its neighbours', async (title, model, change, code, text) => {
      const requests = [
        { model: 'm', report: report({ id: `before ${title}` }) },
        { model, report: report(change) },
        { model: 'm', report: report({ id: `after ${title}` }) },
      ];
      const verdicts = await recordOutcomes(requests, dependenciesOf(stores));
      expect(verdicts.map(({ status }) => status)).toEqual(['accepted', 'refused', 'accepted']);
      expect(verdicts[1]?.error).toMatchObject({ code, message: expect.stringContaining(text) });
    });
  });

  it('stores the declared keys, the item and the attributes, and labels by the expression', async () => {
    await using stores = await openStores();
    await push(stores, KEYED, linearModel());
    await push(stores, JUDGED, linearModel());
    const keyed = report({ predictionId: '', keys: { user: 'u1', item: 'i1', secret: 's' } });
    const judged = report({ value: null, attributes: { type: 'view' } });
    const verdicts = await recordOutcomes(
      [
        { model: 'keyed', report: keyed },
        { model: 'judged', report: judged },
      ],
      dependenciesOf(stores),
    );
    expect(verdicts.map(({ status }) => status)).toEqual(['accepted', 'accepted']);
    const { rows } = await stores.pool.query(
      'SELECT keys, attributes, value FROM outcome ORDER BY model DESC',
    );
    expect(rows).toEqual([
      { keys: { user: 'u1', item: 'i1' }, attributes: {}, value: 1 },
      { keys: {}, attributes: { type: 'view' }, value: null },
    ]);
    const { rule } = modelRules(stores.registry).of('judged');
    expect(rule.labelOf({ value: null, attributes: { type: 'view' } })).toBeNull();
    expect(rule.labelOf({ value: null, attributes: { type: 'purchase' } })).toBe(1);
  });

  it("puts a span into the prediction's trace, once for each report", async () => {
    await using stores = await openStores();
    await push(stores, manifestText('m'), linearModel());
    const spans: SpanOptions[] = [];
    const span: Span = { set: () => undefined, fail: () => undefined, end: () => undefined };
    const tracing: Tracing = {
      ...stores.tracing,
      sampled: () => true,
      span: (_name, options) => {
        spans.push(options);
        return span;
      },
      flush: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
    const dependencies = dependenciesOf(stores, tracing);
    await recordOutcomes([{ model: 'm', report: report() }], dependencies);
    await recordOutcomes([{ model: 'm', report: report() }], dependencies);
    expect(spans).toMatchObject([{ predictionId: P1, sampled: true, kind: 'consumer' }]);
  });

  it('reports UNAVAILABLE when nothing could be stored', async () => {
    await using stores = await openStores();
    await push(stores, manifestText('m'), linearModel());
    const database = {
      query: () => Promise.reject(Object.assign(new Error('gone'), { code: 'ECONNREFUSED' })),
    };
    const dependencies = { ...dependenciesOf(stores), database: database as never };
    await expect(recordOutcomes([{ model: 'm', report: report() }], dependencies)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });

  it('stores ten thousand in one statement', async () => {
    await using stores = await openStores();
    await push(stores, manifestText('m'), linearModel());
    await logPredictions(stores.pool, []);
    const requests = Array.from({ length: 10_000 }, (_, index) => ({
      model: 'm',
      report: report({ id: `o${index}` }),
    }));
    const verdicts = await recordOutcomes(requests, dependenciesOf(stores));
    expect(verdicts.every(({ status }) => status === 'accepted')).toBe(true);
    await expect(recordOutcomes([...requests, requests[0]!], dependenciesOf(stores))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});
