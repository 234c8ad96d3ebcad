import { randomUUID } from 'node:crypto';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { createTestRedis } from '@hotloop/platform/testing/test-services.ts';
import { Queue } from 'bullmq';
import { describe, expect, it } from 'vitest';
import { eventually, linearModel, manifestText, openStores, push } from '../../testing/fixture.ts';
import { enqueueWaitingRuns } from '../run-outbox.ts';
import { createRun } from '../run-store.ts';
import { openRunQueue } from './run-queue.ts';

describe('the queue', () => {
  it('restores lost runs from the rows in Postgres', async () => {
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
    // It is already queued, so nothing is done until all waiting runs are checked.
    expect(await enqueueWaitingRuns(stores.pool, queue, false)).toBe(0);
    await redis[Symbol.asyncDispose]();
    expect(await enqueueWaitingRuns(stores.pool, queue, true)).toBe(1);
    const seen: string[] = [];
    await queue.consume(async (id) => {
      seen.push(id);
      return undefined;
    });
    await eventually(async () => seen.length > 0);
    expect(seen).toEqual([runId]);
  });

  it('contains a run once, even if it is added repeatedly', async () => {
    await using redis = await createTestRedis('queue');
    await using stores = await openStores();
    await using queue = await openRunQueue({
      url: redis.url,
      prefix: 'test',
      concurrency: 1,
      log: stores.log,
    });
    const [first, second] = [randomUUID(), randomUUID()];
    for (let times = 0; times < 5; times++) await queue.add({ runId: first, token: 0 });
    await queue.add({ runId: second, token: 0 });
    const seen: string[] = [];
    await queue.consume(async (id) => {
      seen.push(id);
      return undefined;
    });
    await eventually(async () => seen.includes(second));
    expect(seen).toEqual([first, second]);
  });

  it('makes forged and unknown jobs dead letters, and continues', async () => {
    await using redis = await createTestRedis('queue');
    await using stores = await openStores();
    const options = { url: redis.url, prefix: 'test', concurrency: 1, log: stores.log };
    await using queue = await openRunQueue(options);
    const role = { role: 'queue', blocking: true, commandTimeoutMs: 10_000, log: stores.log } as const;
    await using connection = await openRedis(redis.url, { ...role, name: 'forger' });
    const forger = new Queue('hotloop-training', { connection, prefix: 'test' });
    await forger.add('rm -rf', { runId: randomUUID() });
    await forger.add('run', { runId: "'; DROP TABLE training_run" });
    await forger.add('run', 'x'.repeat(5_000));
    // Written past BullMQ: not JSON, too deep to be written as JSON again, a job without content.
    const raw = async (id: string, data: string) => {
      await connection.hset(`test:hotloop-training:${id}`, { name: 'run', data, opts: '{}', timestamp: 0 });
      await connection.lpush('test:hotloop-training:wait', id);
    };
    await raw('no-json', '{');
    await raw('deep', `{"runId":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);
    await connection.lpush('test:hotloop-training:wait', 'nothing');
    const [unknown, known] = [randomUUID(), randomUUID()];
    await queue.add({ runId: unknown, token: 0 });
    await queue.add({ runId: known, token: 0 });
    const seen: string[] = [];
    await queue.consume(async (id) => {
      seen.push(id);
      return id === unknown ? 'there is no such run' : undefined;
    });
    await eventually(async () => (await queue.deadLetters(10)).length === 7 && seen.includes(known));
    await eventually(async () => (await forger.getJobCountByTypes('active', 'wait', 'failed')) === 0);
    await forger.close();
    const letters = await queue.deadLetters(10);
    expect(letters.map(({ reason }) => reason).sort()).toEqual([
      'it is not JSON',
      'it names no run',
      'it names no run',
      'it names no run',
      'it names no run',
      'it names no run',
      'there is no such run',
    ]);
    expect(Math.max(...letters.map(({ job }) => job.length))).toBe(2_000);
    expect(seen).toEqual([unknown, known]);
  });

  it('refuses a Redis that may evict jobs', async () => {
    await using cache = await createTestRedis('cache');
    await using stores = await openStores();
    const opening = openRunQueue({ url: cache.url, prefix: 'test', concurrency: 1, log: stores.log });
    await expect(opening).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'queue_would_evict' });
  });
});
