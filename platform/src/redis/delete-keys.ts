import type { RedisClient } from './redis.ts';

const BATCH = 500;

/** The keys that match a pattern of Redis, batch by batch; some may come twice. Does not block other commands for long. */
export async function* findKeys(redis: RedisClient, pattern: string): AsyncGenerator<string[]> {
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', BATCH);
    cursor = next;
    if (keys.length > 0) yield keys;
  } while (cursor !== '0');
}

/** Deletes the keys that match a pattern of Redis; answers how many. */
export async function deleteKeys(redis: RedisClient, pattern: string): Promise<number> {
  let deleted = 0;
  for await (const keys of findKeys(redis, pattern)) deleted += await redis.unlink(...keys);
  return deleted;
}

/** Text as it is, inside a pattern. */
export function literalPattern(text: string): string {
  return text.replace(/[\\*?[\]^]/g, '\\$&');
}
