import { systemClock } from '@hotloop/platform/clock.ts';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { postgresDeadLetters } from '@hotloop/platform/postgres/keep-dead-letter.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import {
  createMigratedDatabase,
  createTestRedis,
  testServices,
  uniqueName,
} from '@hotloop/platform/testing/test-services.ts';
import { describe, expect, it } from 'vitest';
import { startEvents } from './events.ts';
import type { History } from './history/history.ts';
import { RedisHistory } from './history/redis-history.ts';
import { takeEvents } from './take-events.ts';

/** A consumer of its own topic, with its own Redis and Postgres. */
async function open() {
  const stack = new AsyncDisposableStack();
  const log = silentLog();
  const brokers = testServices().kafkaBrokers.split(',');
  const database = stack.use(await createMigratedDatabase());
  const pool = stack.use(openPool(database.url, { max: 2, queryTimeoutMs: 5000, application: 'test', log }));
  const cache = stack.use(await createTestRedis('cache'));
  const redis = stack.use(
    await openRedis(cache.url, { commandTimeoutMs: 5000, role: 'cache', name: 'history', log }),
  );
  const producer = stack.use(await openProducer({ brokers, clientId: 'test', log }));
  const history = new RedisHistory(redis);
  const topic = uniqueName('events');
  const groupId = uniqueName('history');
  const start = async (store: History = history) => {
    const consumer = await startEvents(
      { brokers, clientId: 'test', topics: [topic], groupId },
      {
        take: takeEvents(store, undefined, systemClock),
        keepDeadLetter: postgresDeadLetters(pool, groupId),
        ...{ clock: systemClock, log },
      },
    );
    await consumer.joined(20_000);
    return consumer;
  };
  const count = async (entityId: string) => {
    const read = { entity: 'user', entityId, event: 'view', sinceMs: 0, limit: 256, fields: true };
    const [events = []] = await history.read([read]);
    return events.length;
  };
  return {
    ...{ pool, producer, topic, history, start, count },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const viewed = (id: string, user: string): string =>
  JSON.stringify({
    ...{ specversion: '1.0', id, source: '/shop', type: 'view', time: new Date().toISOString() },
    data: { entity: { user }, price: 3 },
  });

describe('events', () => {
  it('reach the history once each, however often they are sent, and invalid ones become dead letters with their bytes', async () => {
    await using opened = await open();
    const { producer, topic, pool } = opened;
    const malformed = Buffer.from([0x7b, 0xff, 0x00, 0x7d]);
    await producer.send(topic, [
      { key: 'u1', value: viewed('e1', 'u1') },
      { key: 'u1', value: malformed, headers: { origin: 'test' } },
      { key: 'u1', value: viewed('e1', 'u1') },
      { key: 'u1', value: '{"specversion":"1.0"}' },
      { key: 'u1', value: viewed('e2', 'u1') },
    ]);
    await using _consumer = await opened.start();
    await expect.poll(() => opened.count('u1'), { timeout: 15_000 }).toBe(2);
    const rows = async () =>
      (await pool.query('SELECT value, key, headers, error, topic FROM set_aside ORDER BY "offset"')).rows;
    await expect.poll(async () => (await rows()).length, { timeout: 15_000 }).toBe(2);
    const [first, second] = await rows();
    expect(first).toMatchObject({
      topic,
      value: malformed,
      key: Buffer.from('u1'),
      headers: { origin: 'test' },
    });
    expect(first.error).toContain('UTF-8');
    expect(second.error).toContain('id');
    await producer.send(topic, [{ key: 'u1', value: viewed('e3', 'u1') }]);
    await expect.poll(() => opened.count('u1'), { timeout: 15_000 }).toBe(3);
  });

  it('wait on their topic while the history is down, and none is lost', async () => {
    await using opened = await open();
    let failures = 2;
    const failing: History = {
      read: (reads) => opened.history.read(reads),
      async append(entries, nowMs) {
        if (failures-- > 0) throw new Error('away');
        await opened.history.append(entries, nowMs);
      },
    };
    await opened.producer.send(opened.topic, [
      { key: 'u2', value: viewed('e1', 'u2') },
      { key: 'u2', value: viewed('e2', 'u2') },
    ]);
    await using _consumer = await opened.start(failing);
    await expect.poll(() => opened.count('u2'), { timeout: 20_000 }).toBe(2);
    expect(failures).toBeLessThan(0);
  });
});
