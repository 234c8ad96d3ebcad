import { type EventList, eventsOf } from '@hotloop/model/features/event-list.ts';
import { record } from '@hotloop/model/testing/manifests.ts';
import { systemClock } from '@hotloop/platform/clock.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openRedis, type RedisClient } from '@hotloop/platform/redis/redis.ts';
import { createTestRedis } from '@hotloop/platform/testing/test-services.ts';
import { HOUR_MS } from '@hotloop/proto/time-units.ts';
import { describe, expect, it } from 'vitest';
import { startCountingProxy } from '../testing/counting-proxy.ts';
import { describeHistory } from '../testing/history-contract.ts';
import { HISTORY_AGE_MS, type History, type HistoryEntry, type HistoryRead } from './history.ts';
import { HistoryGate } from './history-gate.ts';
import { MOST_TAIL_BYTES } from './packed-entity.ts';
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
  it('is not filled until it is marked as filled again', async () => {
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

/** Older events are stored by slices of this length. */
const SLICE_MS = 6 * HOUR_MS;

/** Events of one entity, newest first, ten minutes apart. */
const manyEvents = (count: number, entity = 'item'): HistoryEntry[] =>
  Array.from({ length: count }, (_, age) => ({
    ...{ entity, entityId: 'i0', event: 'view', id: `e${age}`, arrivalUs: -age },
    atMs: Math.floor(Date.now() / 600_000 - age) * 600_000,
    fields: record({ price: age }),
  }));

/** Redis behind a proxy that counts round trips and can freeze. */
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
    expect(answers.flatMap(eventsOf).map(({ fields }) => fields.price)).toEqual([...Array(200).keys()]);
    expect(proxy.roundTrips()).toBe(1);
    // Checks the counter itself: two consecutive reads are two round trips.
    await history.read(reads(2));
    expect(proxy.roundTrips()).toBe(2);
  });

  it('appends new events in one round trip without reading, and merges them before there are many', async () => {
    await using opened = await openBehindProxy();
    const { proxy, history, redis } = opened;
    const all = manyEvents(200).toReversed();
    const price = (event: HistoryEntry) => ({
      ...event,
      event: Number(event.fields.price) % 3 === 0 ? 'buy' : 'view',
    });
    await history.append(all.slice(0, 1), Date.now());
    proxy.reset();
    await history.append(all.slice(1, 3), Date.now());
    expect(proxy.roundTrips()).toBe(1);
    let longest = 0;
    for (let at = 3; at < all.length; at += 2) {
      await history.append(all.slice(at, at + 2).map(price), Date.now());
      const value = (await redis.getBuffer('entity:{item:i0}')) as Buffer;
      longest = Math.max(longest, value.length - value.readUInt32LE(10));
    }
    expect(longest).toBeGreaterThan(1000);
    expect(longest).toBeLessThanOrEqual(MOST_TAIL_BYTES);
    const read = { entity: 'item', entityId: 'i0', sinceMs: 0, limit: 16_384, fields: true };
    const [views, buys] = await history.read([
      { ...read, event: 'view' },
      { ...read, event: 'buy' },
    ]);
    const expected = all.toReversed().map((one, age) => (age > 196 ? one : price(one)));
    for (const [events, type] of [
      [views, 'view'],
      [buys, 'buy'],
    ] as const)
      expect(eventsOf(events as EventList).map(({ id }) => id)).toEqual(
        expected.filter(({ event }) => event === type).map(({ id }) => id),
      );
  });

  it('lets keys expire that are no longer written', async () => {
    await using opened = await openBehindProxy();
    await opened.history.append(manyEvents(1000), Date.now());
    for (const key of ['entity:{item:i0}', 'entity:{item:i0}:older'])
      expect(await opened.redis.pttl(key)).toBeGreaterThan(HISTORY_AGE_MS - 60_000);
  });

  it('loses nothing when several processes write to the same entities concurrently', async () => {
    await using opened = await openBehindProxy();
    const writers = Array.from({ length: 4 }, () => new RedisHistory(opened.redis));
    const all = manyEvents(800).concat(manyEvents(800, 'user'));
    await Promise.all(
      writers.map(async (writer, at) => {
        for (let from = 0; from < all.length; from += 50)
          await writer.append(
            all.slice(from, from + 50).filter((_, index) => index % 4 !== at),
            Date.now(),
          );
      }),
    );
    const permit = { events: 0, edgesMs: [] };
    for (const entity of ['item', 'user']) {
      const read = { entity, entityId: 'i0', event: 'view', sinceMs: 0, limit: 16_384, fields: true };
      const [plain, summed] = await opened.history.read([read, { ...read, summarize: permit }]);
      expect(plain?.length).toBe(800);
      const counts = (summed?.summaries ?? []).map((summary) => summary?.count ?? 1);
      expect(counts.reduce((total, count) => total + count, 0)).toBe(800);
    }
  });

  it('reads the older events of an entity with many in a second round trip, only where their sums are not enough', async () => {
    await using opened = await openBehindProxy();
    const { history, proxy } = opened;
    await history.append(manyEvents(1000), Date.now());
    const read = { entity: 'item', entityId: 'i0', event: 'view', sinceMs: 0, limit: 16_384, fields: true };
    const trips = async (given: Partial<HistoryRead>) => {
      proxy.reset();
      await history.read([{ ...read, ...given }]);
      return proxy.roundTrips();
    };
    expect(await trips({ limit: 256 })).toBe(1);
    expect(await trips({ summarize: { events: 0, edgesMs: [] } })).toBe(1);
    // In the middle of a slice of six hours, and older than the events that are read first.
    const edgeMs = (Math.floor(Date.now() / SLICE_MS) - 20) * SLICE_MS + SLICE_MS / 2;
    expect(await trips({ summarize: { events: 0, edgesMs: [edgeMs] } })).toBe(2);
    expect(await trips({})).toBe(2);
  });

  it('stays correct when the cache has evicted a key of an entity', async () => {
    for (const evicted of ['entity:{item:i0}', 'entity:{item:i0}:older']) {
      await using opened = await openBehindProxy();
      const { history, redis } = opened;
      await history.append(manyEvents(1000), Date.now());
      await redis.del(evicted);
      await history.append(manyEvents(1000), Date.now());
      const read = { entity: 'item', entityId: 'i0', event: 'view', sinceMs: 0, limit: 16_384, fields: true };
      const ids = (await history.read([read])).flatMap(eventsOf).map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids.slice(0, 256)).toEqual(manyEvents(256).map(({ id }) => id));
    }
  });

  it('removes the keys of the previous format once it contains all events', async () => {
    await using opened = await openBehindProxy();
    const { history, redis } = opened;
    await redis.zadd('history:{user:u1}:view', 1, 'e');
    await redis.set('history:filled', '1');
    expect(await history.isFilled()).toBe(false);
    await history.append(entries(1), Date.now());
    await history.markFilled();
    expect(await redis.keys('history:*')).toEqual([]);
    expect(await history.read(reads(1))).toMatchObject([{ length: 1 }]);
  });

  it('rejects data of a newer version, and does not overwrite it', async () => {
    await using opened = await openBehindProxy();
    const { history, redis } = opened;
    const newer = Buffer.concat([Buffer.alloc(8, 1), Buffer.from([9, 0, 0])]);
    await redis.set('entity:{item:i0}', newer);
    await expect(history.read(reads(1))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(history.append(entries(1), Date.now())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await redis.getBuffer('entity:{item:i0}')).toEqual(newer);
  });

  it('fails at once while the connection is lost, and reads again when it is back', async () => {
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

  it('costs a prediction at most its budget when frozen, then nothing, and recovers by itself', async () => {
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
      // On a busy machine, several probes may be late before one answers within the budget.
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
