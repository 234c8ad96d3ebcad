import { systemClock } from '@hotloop/platform/clock.ts';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { testServices, uniqueName } from '@hotloop/platform/testing/test-services.ts';
import { describe, expect, it } from 'vitest';
import { eventually, linearModel, manifestText, openStores, push, type Stores } from '../testing/fixture.ts';
import { modelRules } from './model-rules.ts';
import { startOutcomeConsumers } from './outcome-consumer.ts';
import type { OutcomeDependencies } from './record-outcomes.ts';

const P1 = '018bcfe5-6800-7000-8000-000000000001';
const BOUND_MS = 25_000;

const cloudEvent = (id: string, data: unknown, change: object = {}) =>
  JSON.stringify({ specversion: '1.0', id, source: 'shop', type: 'purchase', data, ...change });

const purchases = (name: string, topic: string) =>
  manifestText(
    name,
    `outcome: {from: "kafka:${topic}", join: [user], positive: "event.type == 'purchase'", otherwise: 0}\n`,
  );

/** A store that can be made unavailable. */
function interruptible(stores: Stores) {
  const state = { away: false, attempts: 0 };
  const database: OutcomeDependencies['database'] = Object.assign(Object.create(stores.pool), {
    query: (...input: Parameters<typeof stores.pool.query>) => {
      state.attempts++;
      if (state.away) return Promise.reject(Object.assign(new Error('gone'), { code: 'ECONNREFUSED' }));
      return stores.pool.query(...input);
    },
  });
  return { state, database };
}

const count = async (stores: Stores, table: string) =>
  (await stores.pool.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`)).rows[0]!.n;

describe('outcomes on a topic', () => {
  it('are stored once each, become dead letters when malformed, wait for the store, and follow new topics', async () => {
    await using stores = await openStores();
    const [topic, second] = [uniqueName('outcomes'), uniqueName('outcomes')];
    await push(stores, purchases('m', topic), linearModel());
    const brokers = [testServices().kafkaBrokers];
    await using producer = await openProducer({ brokers, clientId: 'test', log: stores.log });
    const { state, database } = interruptible(stores);
    const dependencies = {
      database,
      registry: stores.registry,
      rules: modelRules(stores.registry),
      tracing: stores.tracing,
      clock: systemClock,
    };
    await using consumers = startOutcomeConsumers(dependencies, {
      brokers,
      groupPrefix: uniqueName('group'),
      log: stores.log,
    });

    // Messages of one key stay in order.
    const key = 'k';
    const malformed = ['{"specversion":"1.0"', cloudEvent('bad', { user: 7 }, { type: 3 }), 'ÿþ', ''];
    await producer.send(topic, [
      { key, value: cloudEvent('e1', { user: 'u1', amount: 3 }) },
      { key, value: malformed[0]! },
      { key, value: cloudEvent('e1', { user: 'u1', amount: 3 }) },
      { key, value: malformed[1]! },
      { value: Buffer.from([0xff, 0xfe, 0x00]), key, headers: { trace: 't' } },
      { key, value: cloudEvent('e2', { prediction_id: P1, value: 0 }) },
      { key, value: cloudEvent('view', { page: 1 }, { type: 'view' }) },
      { key, value: cloudEvent('lost', { amount: 1 }) },
      { key, value: cloudEvent('e3', { model: 'nope', user: 'u1' }) },
      {
        key,
        value: cloudEvent(
          'e4',
          { keys: { user: 'u2' }, kind: 'retract' },
          { time: '2024-02-03T04:05:06.789Z' },
        ),
      },
    ]);
    await eventually(
      async () => (await count(stores, 'outcome')) === 3 && (await count(stores, 'set_aside')) === 5,
      BOUND_MS,
    );
    const { rows } = await stores.pool.query(
      'SELECT id, source, kind, prediction_id, keys, value, attributes FROM outcome ORDER BY id',
    );
    expect(rows).toEqual([
      {
        id: 'e1',
        source: `kafka:${topic}`,
        kind: 'label',
        prediction_id: null,
        keys: { user: 'u1' },
        value: null,
        attributes: { type: 'purchase', user: 'u1', amount: 3 },
      },
      expect.objectContaining({ id: 'e2', prediction_id: P1, value: 0 }),
      expect.objectContaining({ id: 'e4', kind: 'retract', keys: { user: 'u2' } }),
    ]);
    const aside = await stores.pool.query<{
      value: Buffer;
      error: string;
      key: Buffer | null;
      headers: object;
    }>('SELECT value, key, headers, error FROM set_aside ORDER BY "offset"');
    expect(aside.rows.map((row) => row.error)).toEqual([
      expect.stringContaining('not JSON'),
      expect.stringContaining('type must be a text'),
      expect.stringContaining('not JSON'),
      expect.stringContaining('keys.user'),
      expect.stringContaining('"nope" is not registered'),
    ]);
    expect(aside.rows[0]!.value.toString()).toBe(malformed[0]);
    expect(aside.rows[2]).toMatchObject({ value: Buffer.from([0xff, 0xfe, 0x00]), headers: { trace: 't' } });

    // While the store is unavailable, nothing is lost, and nothing is committed before it is in Postgres.
    state.away = true;
    state.attempts = 0;
    await producer.send(topic, [{ value: cloudEvent('e5', { user: 'u5' }) }, { value: 'torn' }]);
    await eventually(async () => state.attempts > 1, BOUND_MS);
    expect(await count(stores, 'outcome')).toBe(3);
    state.away = false;
    await eventually(
      async () => (await count(stores, 'outcome')) === 4 && (await count(stores, 'set_aside')) === 6,
      BOUND_MS,
    );

    // A model registered later adds its topic, and reads the messages that are already there.
    await producer.send(second, [{ value: cloudEvent('e6', { user: 'u6' }) }]);
    await push(stores, purchases('later', second), linearModel());
    await eventually(async () => (await count(stores, 'outcome')) === 5, BOUND_MS);
    await consumers.joined(BOUND_MS);
  }, 90_000);
});
