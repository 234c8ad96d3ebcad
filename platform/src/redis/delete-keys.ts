import type { Cluster, Redis } from 'ioredis';
import type { RedisClient } from './redis.ts';

const BATCH = 500;

/** The keys that match a Redis pattern, in batches; some may appear twice. Does not block other commands for long. */
export async function* findKeys(redis: RedisClient, pattern: string): AsyncGenerator<string[]> {
  // Each node of a cluster knows only its own keys.
  const nodes: readonly Pick<Redis, 'scan'>[] = redis.isCluster
    ? (redis as unknown as Cluster).nodes('master')
    : [redis];
  for (const node of nodes) {
    let cursor = '0';
    do {
      const [next, keys] = await node.scan(cursor, 'MATCH', pattern, 'COUNT', BATCH);
      cursor = next;
      if (keys.length > 0) yield keys;
    } while (cursor !== '0');
  }
}

/** Deletes the keys that match a Redis pattern; returns how many. */
export async function deleteKeys(redis: RedisClient, pattern: string): Promise<number> {
  let deleted = 0;
  for await (const keys of findKeys(redis, pattern)) {
    // The keys of a cluster node may belong to several slots, which one command must not mix.
    const each = redis.isCluster ? keys.map((key) => redis.unlink(key)) : [redis.unlink(...keys)];
    for (const count of await Promise.all(each)) deleted += count;
  }
  return deleted;
}

/** Escapes text for use inside a pattern. */
export function literalPattern(text: string): string {
  return text.replace(/[\\*?[\]^]/g, '\\$&');
}
