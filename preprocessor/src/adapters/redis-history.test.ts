import { record } from '@hotloop/model/testing/manifests.ts';
import { systemClock } from '@hotloop/platform/clock.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openRedis, type RedisClient } from '@hotloop/platform/redis/redis.ts';
import { createTestRedis } from '@hotloop/platform/testing/test-services.ts';
import { describe, expect, it } from 'vitest';
import { HISTORY_AGE_MS, type History, type HistoryEntry } from '../history.ts';
import { HistoryGate } from '../history-gate.ts';
import { startCountingProxy } from '../testing/counting-proxy.ts';
import { describeHistory } from '../testing/history-contract.ts';
import { RedisHistory } from './redis-history.ts';

const open = (url: string): Promise<RedisClient> =>
  openRedis(url, { commandTimeoutMs: 2000, role: 'cache', name: 'history', log: silentLog() });

describeHistory('Redis', async () => {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createTestRedis('cache'));
  const redis = stack.use(await open(database.url));
  return { history: new RedisHistory(redis), [Symbol.asyncDispose]: () => stack.disposeAsync() };
});

describe('a Redis that was emptied', () => {
  it('is not filled until it is told so again', async () => {
    await using database = await createTestRedis('cache');
    await using redis = await open(database.url);
    const history = new RedisHistory(redis);
    expect(await history.isFilled()).toBe(false);
    await history.markFilled();
    expect(await history.isFilled()).toBe(true);
    await redis.flushdb();
    expect(await history.isFilled()).toBe(false);
  });
});

const entries = (count: number): HistoryEntry[] =>
  Array.from({ length: count }, (_, index) => ({
    entity: 'item',
    entityId: `i${index}`,
    event: 'view',
    id: 'e',
    atMs: Date.now() - 1000,
    arrivalUs: index,
    fields: record({ price: index }),
  }));

const reads = (count: number) =>
  entries(count).map(({ entity, entityId, event }) => ({
    ...{ entity, entityId, event, sinceMs: 0, limit: 10, fields: true },
  }));

/** Redis behind a proxy that counts and freezes. */
async function openBehindProxy() {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createTestRedis('cache'));
  const url = new URL(database.url);
  const proxy = stack.use(await startCountingProxy({ host: url.hostname, port: Number(url.port) }));
  url.host = `127.0.0.1:${proxy.port}`;
  const redis = stack.use(await open(url.href));
  return {
    proxy,
    redis,
    history: new RedisHistory(redis),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('Redis history', () => {
  it('reads the history of two hundred candidates in one round trip', async () => {
    await using opened = await openBehindProxy();
    const { proxy, history } = opened;
    await history.append(entries(200), Date.now());
    proxy.reset();
    const answers = await history.read(reads(200));
    expect(answers.map((events) => events[0]?.fields.price)).toEqual([...Array(200).keys()]);
    expect(proxy.roundTrips()).toBe(1);
    // The counter itself: two reads, one after the other, are two round trips.
    await history.read(reads(2));
    expect(proxy.roundTrips()).toBe(2);
  });

  it('lets keys that nobody writes to any more expire', async () => {
    await using opened = await openBehindProxy();
    await opened.history.append(entries(1), Date.now());
    for (const key of ['', ':ids', ':sums'].map((end) => `history:{item:i0}:view${end}`)) {
      const ttl = await opened.redis.pttl(key);
      expect(ttl).toBeGreaterThan(HISTORY_AGE_MS - 60_000);
    }
  });

  it('goes on soundly when the cache has evicted one of the keys of a list', async () => {
    for (const evicted of ['', ':ids', ':sums'].map((end) => `history:{item:i0}:view${end}`)) {
      await using opened = await openBehindProxy();
      const { history, redis } = opened;
      const [entry] = entries(1);
      if (!entry) throw new Error('no entry');
      await history.append([entry], Date.now());
      await redis.del(evicted);
      await history.append(
        [
          { ...entry, fields: record({ again: 1 }) },
          { ...entry, id: 'new' },
        ],
        Date.now(),
      );
      const [events = []] = await history.read(reads(1));
      expect(events.map(({ id }) => id)).toEqual(['new', 'e']);
      const [listed, ids, summed] = await Promise.all([
        redis.zcard('history:{item:i0}:view'),
        redis.scard('history:{item:i0}:view:ids'),
        redis.hget('history:{item:i0}:view:sums', 'n'),
      ]);
      expect([listed, ids, summed]).toEqual([2, 2, '2']);
    }
  });

  it('answers at once that there is none while the connection is away, and reads again when it is back', async () => {
    await using opened = await openBehindProxy();
    const { proxy, history } = opened;
    const gate = new HistoryGate(history, systemClock, silentLog(), {
      budgetMs: 5000,
      failures: 3,
      restMs: 20,
    });
    await history.append(entries(1), Date.now());
    proxy.cut(true);
    await expect.poll(() => gate.read(reads(1))).toBeNull();
    const start = performance.now();
    for (let index = 0; index < 50; index++) expect(await gate.read(reads(1))).toBeNull();
    expect(performance.now() - start).toBeLessThan(2000);
    proxy.cut(false);
    await expect.poll(async () => (await gate.read(reads(1)))?.[0]?.length).toBe(1);
  });

  it('costs a prediction no more than its budget when frozen, then nothing, and comes back by itself', async () => {
    await using opened = await openBehindProxy();
    const { proxy, history } = opened;
    await history.append(entries(1), Date.now());
    let asked = 0;
    const counted: History = {
      append: (given, nowMs) => history.append(given, nowMs),
      read: (given) => {
        asked++;
        return history.read(given);
      },
    };
    let nowMs = 0;
    const clock = { now: () => nowMs, monotonic: () => nowMs };
    const policy = { budgetMs: 20, failures: 3, restMs: 1000 };
    const gate = new HistoryGate(counted, clock, silentLog(), policy);
    const readsAgain = () => {
      // A busy machine may be late more than once before it answers within the budget.
      nowMs += policy.restMs;
      return gate.read(reads(1));
    };
    await expect.poll(readsAgain).toHaveLength(1);
    proxy.freeze(true);
    asked = 0;
    const start = performance.now();
    for (let index = 0; index < 3; index++) expect(await gate.read(reads(1))).toBeNull();
    expect(performance.now() - start).toBeGreaterThan(3 * 15);
    for (let index = 0; index < 1000; index++) expect(await gate.read(reads(1))).toBeNull();
    expect([gate.open, asked]).toEqual([true, 3]);
    proxy.freeze(false);
    await expect.poll(readsAgain).toHaveLength(1);
    expect(gate.open).toBe(false);
  });
});
