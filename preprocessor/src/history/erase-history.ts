import { type Entity, type Eraser, jsonTextsOf } from '@hotloop/platform/ports/erasure.ts';
import { deleteKeys, literalPattern } from '@hotloop/platform/redis/delete-keys.ts';
import type { RedisClient } from '@hotloop/platform/redis/redis.ts';
import { fieldsOf } from './packed-rows.ts';
import { keyOf, RedisHistory } from './redis-history.ts';

/**
 * Erases an entity's data from Redis: its own keys, cached rows of reference tables under its id, and its id in the
 * events of others. Counts keys and events. `withRedis` lends a connection.
 */
export function historyEraser(withRedis: <T>(use: (redis: RedisClient) => Promise<T>) => Promise<T>): Eraser {
  return {
    what: 'history',
    erase: ({ entity, others }) =>
      withRedis(async (redis) => {
        const { kind, id } = entity;
        let gone = await deleteKeys(redis, `${literalPattern(keyOf(namesOf(entity)))}*`);
        // Keys in the previous format that have not been replaced yet.
        gone += await deleteKeys(redis, `history:{${literalPattern(`${kind}:${id}`)}}*`);
        gone += await deleteKeys(redis, `reference:* ${literalPattern(id)}`);
        const history = new RedisHistory(redis);
        const texts = jsonTextsOf(entity);
        for (const other of others)
          gone += await history.remove(namesOf(other), (row) => {
            const fields = JSON.stringify(fieldsOf(row));
            return texts.some((text) => fields.includes(text));
          });
        return gone;
      }),
  };
}

function namesOf({ kind, id }: Entity) {
  return { entity: kind, entityId: id };
}
