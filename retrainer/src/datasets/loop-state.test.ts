import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { describe, expect, it } from 'vitest';
import { modelRules } from '../outcomes/model-rules.ts';
import { settleOutcomes } from '../outcomes/waiting-outcomes.ts';
import {
  linearModel,
  logPredictions,
  makeLive,
  manifestText,
  openStores,
  push,
  type Stores,
} from '../testing/fixture.ts';
import { loopReader } from './loop-state.ts';

const MANIFEST = manifestText(
  'm',
  'outcome: {from: "kafka:t", join: [user, item], otherwise: 0, window: 1h}\n',
).replace('task: binary', 'task: ranking');

async function outcome(
  stores: Stores,
  id: string,
  predictionId: string | null,
  keys: object = {},
): Promise<void> {
  await stores.pool.query(
    `INSERT INTO outcome (id, model, source, kind, prediction_id, keys, occurred_at) VALUES ($1, 'm', 's', 'label', $2, $3, now())`,
    [id, predictionId, JSON.stringify(keys)],
  );
}

describe('the state of the loop', () => {
  it('counts predictions, outcomes, unmatched outcomes and dead letters', async () => {
    await using stores = await openStores();
    await push(stores, MANIFEST, linearModel());
    await makeLive(stores, 'm', 1);
    const [id] = await logPredictions(stores.pool, [
      { model: 'm', features: [1, 2, 3, 4], entities: { user: 'u1' }, candidates: ['a', 'b'] },
      { model: 'm', features: [1, 2], entities: { user: 'u2', item: 'c' } },
      {
        model: 'm',
        features: [1, 2],
        entities: { user: 'u3' },
        candidates: ['a'],
        at: Date.now() - 2 * 3_600_000,
      },
      { model: 'other', features: [1, 2] },
    ]);
    await outcome(stores, 'known', id!);
    await outcome(stores, 'unknown', '018bcfe5-6800-7000-8000-000000000001');
    await outcome(stores, 'candidate', null, { user: 'u1', item: 'b' });
    await outcome(stores, 'entity', null, { user: 'u2', item: 'c' });
    await outcome(stores, 'other item', null, { user: 'u1', item: 'z' });
    await outcome(stores, 'too late', null, { user: 'u3', item: 'a' });
    await stores.pool.query(
      `INSERT INTO set_aside (consumer, topic, "partition", "offset", error) VALUES ('c', 't', 0, 1, 'e'), ('c', 'elsewhere', 0, 1, 'e')`,
    );
    const loop = loopReader(stores.pool, modelRules(stores.registry));
    expect(await settleOutcomes(stores.pool, 'm', 3_600_000)).toBe(4);
    expect(await loop.read('m')).toEqual({
      model: 'm',
      liveVersion: 1,
      predictionsLogged: 3,
      outcomes: 6,
      outcomesUnmatched: 3,
      messagesSetAside: 1,
      latestRun: null,
      sqlSource: null,
    });
    await expect(loop.read('nope')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('needs no join when it is read, and finds predictions that arrive after their outcome', async () => {
    await using stores = await openStores();
    await push(stores, MANIFEST, linearModel());
    await outcome(stores, 'early', null, { user: 'u1', item: 'b' });
    await outcome(stores, 'never', null, { user: 'u9', item: 'b' });
    const settle = () => settleOutcomes(stores.pool, 'm', 3_600_000);
    const statements: string[] = [];
    const pool: Pool = Object.assign(Object.create(stores.pool) as Pool, {
      query: (...input: Parameters<Pool['query']>) => {
        statements.push(String(input[0]));
        return stores.pool.query(...input);
      },
    });
    const loop = loopReader(pool, modelRules(stores.registry));
    expect(await settle()).toBe(2);
    expect(await loop.read('m')).toMatchObject({ outcomes: 2, outcomesUnmatched: 2 });
    expect(statements.join(' ')).not.toMatch(/outcome_match|FROM (outcome|prediction|outcome_waiting)\b/);
    await logPredictions(stores.pool, [
      { model: 'm', features: [1, 2, 3, 4], entities: { user: 'u1' }, candidates: ['a', 'b'] },
    ]);
    // Not due yet: it is looked up again two seconds after the first look.
    expect(await settle()).toBe(0);
    await stores.pool.query('UPDATE outcome_waiting SET look_at = now()');
    expect(await settle()).toBe(2);
    expect(await loop.read('m')).toMatchObject({ outcomes: 2, outcomesUnmatched: 1 });
    await stores.pool.query('DELETE FROM outcome');
    expect(await loop.read('m')).toMatchObject({ outcomes: 0, outcomesUnmatched: 0 });
  });
});
