import type { RedisClient } from './redis.ts';

const BATCH = 500;

/** Deletes the keys that match a pattern of Redis, batch by batch; answers how many. Does not block other commands for long. */
export async function deleteKeys(redis: RedisClient, pattern: string): Promise<number> {
  let deleted = 0;
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', BATCH);
    cursor = next;
    if (keys.length > 0) deleted += await redis.unlink(...keys);
  } while (cursor !== '0');
  return deleted;
}

/** Text as it is, inside a pattern. */
export function literalPattern(text: string): string {
  return text.replace(/[\\*?[\]^]/g, '\\$&');
}
