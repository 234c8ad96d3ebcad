import { systemClock } from '@hotloop/platform/clock.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { describe, expect, it } from 'vitest';
import { modelRules } from '../outcomes/model-rules.ts';
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
  it('counts predictions, outcomes, those that match nothing, and messages set aside', async () => {
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
    const loop = loopReader(stores.pool, modelRules(stores.registry), systemClock);
    expect(await loop.read('m')).toEqual({
      model: 'm',
      liveVersion: 1,
      predictionsLogged: 3,
      outcomes: 6,
      outcomesUnmatched: 3,
      messagesSetAside: 1,
      latestRun: null,
    });
    await expect(loop.read('nope')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('spends a small share of the time on counting, however often it is asked', async () => {
    await using stores = await openStores();
    await push(stores, MANIFEST, linearModel());
    let now = 0;
    let counts = 0;
    const pool: Pool = Object.assign(Object.create(stores.pool) as Pool, {
      query: (...input: Parameters<Pool['query']>) => {
        if (String(input[0]).includes('outcome_match')) {
          counts++;
          now += 50;
        }
        return stores.pool.query(...input);
      },
    });
    const clock = { now: Date.now, monotonic: () => now };
    const loop = loopReader(pool, modelRules(stores.registry), clock);
    await Promise.all([loop.read('m'), loop.read('m'), loop.read('m')]);
    expect(counts).toBe(1);
    now += 900;
    await loop.read('m');
    expect(counts).toBe(1);
    now += 101;
    await loop.read('m');
    expect(counts).toBe(2);
  });
});
