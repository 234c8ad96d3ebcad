import { randomUUID } from 'node:crypto';
import { createTestRedis } from '@hotloop/platform/testing/test-services.ts';
import { describe, expect, it } from 'vitest';
import { eventually, linearModel, manifestText, openStores, push } from '../../testing/fixture.ts';
import { enqueueWaitingRuns } from '../run-outbox.ts';
import { createRun } from '../run-store.ts';
import { openRunQueue } from './run-queue.ts';

describe('the queue', () => {
  it('brings back runs that it lost, from the rows in Postgres', async () => {
    await using stores = await openStores();
    await using redis = await createTestRedis('queue');
    await push(stores, manifestText('m'), linearModel());
    const runId = randomUUID();
    await createRun(stores.pool, { runId, model: 'm', key: 'k', reason: 'test', hold: false });
    await using queue = await openRunQueue({
      url: redis.url,
      prefix: 'test',
      concurrency: 1,
      log: stores.log,
    });
    expect(await enqueueWaitingRuns(stores.pool, queue, false)).toBe(1);
    // In line already: nothing to do, until somebody looks at all of them.
    expect(await enqueueWaitingRuns(stores.pool, queue, false)).toBe(0);
    await redis[Symbol.asyncDispose]();
    expect(await enqueueWaitingRuns(stores.pool, queue, true)).toBe(1);
    const seen: string[] = [];
    await queue.consume(async (id) => void seen.push(id));
    await eventually(async () => seen.length > 0);
    expect(seen).toEqual([runId]);
  });

  it('holds a run once however often it is added', async () => {
    await using redis = await createTestRedis('queue');
    await using stores = await openStores();
    await using queue = await openRunQueue({
      url: redis.url,
      prefix: 'test',
      concurrency: 1,
      log: stores.log,
    });
    for (let times = 0; times < 5; times++) await queue.add({ runId: 'r1', token: 0 });
    await queue.add({ runId: 'r2', token: 0 });
    const seen: string[] = [];
    await queue.consume(async (id) => void seen.push(id));
    await eventually(async () => seen.includes('r2'));
    expect(seen).toEqual(['r1', 'r2']);
  });

  it('refuses a Redis that may evict jobs', async () => {
    await using cache = await createTestRedis('cache');
    await using stores = await openStores();
    const opening = openRunQueue({ url: cache.url, prefix: 'test', concurrency: 1, log: stores.log });
    await expect(opening).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'queue_would_evict' });
  });
});
