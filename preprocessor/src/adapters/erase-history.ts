import { type Entity, type Eraser, jsonTextsOf } from '@hotloop/platform/ports/erasure.ts';
import { deleteKeys, findKeys, literalPattern } from '@hotloop/platform/redis/delete-keys.ts';
import type { RedisClient } from '@hotloop/platform/redis/redis.ts';

/**
 * Erases what Redis holds of an entity: its own lists, cached rows of reference tables under its id, and its id in the events of
 * others. Counts keys and events. `withRedis` lends a connection.
 */
export function historyEraser(withRedis: <T>(use: (redis: RedisClient) => Promise<T>) => Promise<T>): Eraser {
  return {
    what: 'history',
    erase: ({ entity, others }) =>
      withRedis(async (redis) => {
        const { kind, id } = entity;
        let gone = await deleteKeys(redis, `history:{${literalPattern(`${kind}:${id}`)}}*`);
        gone += await deleteKeys(redis, `reference:* ${literalPattern(id)}`);
        for (const other of others) gone += await eraseFromOther(redis, other, jsonTextsOf(entity));
        return gone;
      }),
  };
}

/** The list's ids and summaries are made again from the list by the next event. */
async function eraseFromOther(redis: RedisClient, other: Entity, texts: readonly string[]): Promise<number> {
  let gone = 0;
  for await (const keys of findKeys(redis, `history:{${literalPattern(`${other.kind}:${other.id}`)}}:*`))
    for (const key of keys) {
      if (key.endsWith(':ids') || key.endsWith(':sums')) continue;
      const members = (await redis.zrange(key, '0', '-1')).filter((member) =>
        texts.some((text) => member.includes(text)),
      );
      if (members.length === 0) continue;
      gone += await redis.zrem(key, ...members);
      await redis.unlink(`${key}:ids`, `${key}:sums`);
    }
  return gone;
}
