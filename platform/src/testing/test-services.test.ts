import { Redis } from 'ioredis';
import { Client } from 'pg';
import { describe, expect, it } from 'vitest';
import { createTestDatabase, createTestRedis, testServices, uniqueName } from './test-services.ts';

describe('services of a test run', () => {
  it('gives each caller its own database and drops it at the end', async () => {
    let dropped: string;
    {
      await using first = await createTestDatabase();
      await using second = await createTestDatabase();
      expect(first.url).not.toBe(second.url);
      dropped = first.name;
      const client = new Client({ connectionString: first.url });
      client.on('error', () => undefined);
      await client.connect();
      await client.query('CREATE TABLE mine (id int)');
      // Left open on purpose: dropping must not wait for forgotten connections.
    }
    const client = new Client({ connectionString: testServices().databaseUrl });
    await client.connect();
    const { rows } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [dropped]);
    await client.end();
    expect(rows).toEqual([]);
  });

  it.each([
    ['cache', 'allkeys-lru'],
    ['queue', 'noeviction'],
  ] as const)('gives each caller its own empty %s Redis, with the policy %s', async (role, policy) => {
    await using one = await createTestRedis(role);
    await using other = await createTestRedis(role);
    const [first, second] = [new Redis(one.url), new Redis(other.url)];
    await first.set('key', 'value');
    expect(await second.get('key')).toBeNull();
    expect(await first.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', policy]);
    first.disconnect();
    second.disconnect();
  });

  it('never returns the same name twice', () => {
    expect(uniqueName('topic')).not.toBe(uniqueName('topic'));
    expect(testServices().kafkaBrokers).toMatch(/^127\.0\.0\.1:\d+$/);
  });
});
