import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { modelRules } from '../outcomes/model-rules.ts';
import {
  linearModel,
  logPredictions,
  manifestText,
  openStores,
  push,
  type Stores,
} from '../testing/fixture.ts';
import { tracePrediction } from './trace-prediction.ts';

const MANIFEST = manifestText(
  'm',
  'outcome: {join: [user, item], positive: "event.type == \'buy\'", otherwise: 0, window: 1h}\n',
).replace('task: binary', 'task: ranking');
const AT = Date.now() - 2 * 3_600_000;

const trace = (stores: Stores, id: string) => tracePrediction(id, stores.pool, modelRules(stores.registry));
const told = (steps: Awaited<ReturnType<typeof trace>>) =>
  steps.map(({ kind, summary }) => `${kind}: ${summary}`);

async function bought(stores: Stores, id: string, user: string, item: string, at: number): Promise<void> {
  await stores.pool.query(
    `INSERT INTO outcome (id, model, source, kind, keys, attributes, occurred_at)
     VALUES ($1, 'm', 'kafka:t', 'label', $2, '{"type": "buy"}', to_timestamp($3 / 1000.0))`,
    [id, JSON.stringify({ user, item }), at],
  );
}

async function learnt(stores: Stores, cut: number, at: number, version: number | null): Promise<void> {
  const sha256 = randomUUID();
  await stores.pool.query(
    `INSERT INTO dataset (sha256, model, examples, "columns", cut, created_at) VALUES ($1, 'm', 50, 2, $2, to_timestamp($3 / 1000.0))`,
    [sha256, cut, at],
  );
  await stores.pool.query(
    `INSERT INTO training_run (run_id, model, key, state, message, dataset_sha256, version, created_at)
     VALUES (gen_random_uuid(), 'm', $1::text, 'succeeded', 'done', $1, $2, to_timestamp($3 / 1000.0))`,
    [sha256, version, at],
  );
}

describe('the history of a prediction', () => {
  it('contains the outcomes of its keys and window, and later runs', async () => {
    await using stores = await openStores();
    await push(stores, MANIFEST, linearModel());
    const [id, other] = await logPredictions(stores.pool, [
      { model: 'm', features: [1, 2, 3, 4], entities: { user: 'u' }, candidates: ['a', 'b'], at: AT },
      { model: 'm', features: [1, 2], entities: { user: 'w' }, candidates: ['a'], at: AT },
    ]);
    await stores.pool.query(
      `INSERT INTO decision (prediction_id, at, model, version, variant, score, shown, node)
       VALUES ($1, to_timestamp($2 / 1000.0), 'm', 1, 'live', 0.75, '[{"id": "b", "rank": 1}]', 'n')`,
      [id, AT + 1],
    );
    await stores.pool.query('UPDATE prediction SET propensity = 0.9 WHERE prediction_id = $1', [id]);
    await learnt(stores, 0, AT + 500, 2);
    await bought(stores, 'mine', 'u', 'b', AT + 1000);
    await bought(stores, 'not shown to me', 'u', 'z', AT + 1000);
    await bought(stores, 'of another', 'v', 'b', AT + 1000);
    await bought(stores, 'too late', 'u', 'b', AT + 3_700_000);
    await learnt(stores, 4, AT + 5000, 3);
    expect(told(await trace(stores, id!.toUpperCase()))).toEqual([
      'request: m version 1 (live, at 90 %) for user u',
      'output: answered by node-1 in 0 us',
      'decision: 1 shown (0.7500)',
      'outcome: buy from kafka:t',
      `dataset: 50 examples, ${await lastDataset(stores)}`,
      'run: succeeded: done',
    ]);
    // This one has no outcome: from the end of its window on it counts with the default label.
    expect((await trace(stores, other!)).map(({ kind }) => kind)).toEqual(['request', 'output']);
    await learnt(stores, 4, AT + 3_600_001, 4);
    expect((await trace(stores, other!)).map(({ kind }) => kind)).toEqual([
      'request',
      'output',
      'dataset',
      'run',
    ]);
  });

  it('reports a failure without its cause, and outcomes whose prediction has not arrived yet', async () => {
    await using stores = await openStores();
    await push(stores, manifestText('m'), linearModel());
    const [failed] = await logPredictions(stores.pool, [
      { model: 'm', features: [1, 2], errorCode: 'UNAVAILABLE' },
    ]);
    expect(told(await trace(stores, failed!))[1]).toBe('output: failed: UNAVAILABLE');
    const early = '018bcfe5-6800-7000-8000-000000000001';
    await stores.pool.query(
      `INSERT INTO outcome (id, model, source, kind, prediction_id, value, occurred_at) VALUES ('o', 'm', 'sdk', 'label', $1, '1', now())`,
      [early],
    );
    expect(told(await trace(stores, early))).toEqual(['outcome: 1 from sdk']);
  });
});

async function lastDataset(stores: Stores): Promise<string> {
  const { rows } = await stores.pool.query<{ sha256: string }>(
    'SELECT sha256 FROM dataset ORDER BY cut DESC LIMIT 1',
  );
  return rows[0]!.sha256.slice(0, 12);
}
