import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../log.ts';
import { createTestRedis } from '../testing/test-services.ts';
import { openRedis } from './redis.ts';

const options = { commandTimeoutMs: 10_000, name: 'test', log: silentLog() } as const;

/** An address where nothing listens. A recently free port may meanwhile be another test's server. */
const NOBODY = 'redis://127.0.0.1:1';

describe('Redis', () => {
  it('opens a cache and answers', async () => {
    await using database = await createTestRedis('cache');
    await using redis = await openRedis(database.url, { ...options, role: 'cache', autoPipelining: true });
    await redis.set('a', '1');
    expect(await redis.get('a')).toBe('1');
  });

  it('opens a queue whose eviction policy keeps every job', async () => {
    await using database = await createTestRedis('queue');
    await using redis = await openRedis(database.url, { ...options, role: 'queue' });
    expect(await redis.ping()).toBe('PONG');
  });

  it('rejects a queue that may evict jobs, with one clear line', async () => {
    await using database = await createTestRedis('cache');
    await expect(openRedis(database.url, { ...options, role: 'queue' })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/maxmemory-policy allkeys-lru.*noeviction/),
    });
  });

  it('continues without a cache that cannot be reached, and fails its commands at once', async () => {
    await using redis = await openRedis(NOBODY, { ...options, role: 'cache', connectTimeoutMs: 100 });
    const started = performance.now();
    await expect(redis.get('a')).rejects.toThrow();
    expect(performance.now() - started).toBeLessThan(options.commandTimeoutMs / 2);
  });

  it('does not open a queue that cannot be reached', async () => {
    await expect(
      openRedis(NOBODY, { ...options, role: 'queue', connectTimeoutMs: 100 }),
    ).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });

  it('ends a command by its timeout when the server is frozen', async () => {
    // Accepts connections and never answers, like a stopped process.
    const frozen = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((resolve) => frozen.once('listening', resolve));
    const { port } = frozen.address() as { port: number };
    try {
      await using redis = await openRedis(`redis://127.0.0.1:${port}`, {
        ...options,
        role: 'cache',
        commandTimeoutMs: 300,
        connectTimeoutMs: 100,
      });
      const started = performance.now();
      await expect(redis.get('a')).rejects.toThrow();
      expect(performance.now() - started).toBeLessThan(10_000);
    } finally {
      frozen.close();
    }
  });
});
