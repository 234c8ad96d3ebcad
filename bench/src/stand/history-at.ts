import { systemClock } from '@hotloop/platform/clock.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { TrackedReads } from '@hotloop/platform/redis/tracked-reads.ts';
import { decodeEntity } from '@hotloop/preprocessor/history/packed-entity.ts';
import { keyOf, RedisHistory } from '@hotloop/preprocessor/history/redis-history.ts';

/** The history as the preprocessor opens it: three connections, which the stack closes. */
export async function historyAt(stack: AsyncDisposableStack, url: string): Promise<RedisHistory> {
  const log = silentLog();
  const open = async (name: string, hearsChanges = false) =>
    stack.use(await openRedis(url, { commandTimeoutMs: 2_000, role: 'cache', name, hearsChanges, log }));
  const kept = stack.use(
    new TrackedReads(await open('reads'), await open('changes', true), {
      ...{ decode: decodeEntity, keyOf, maxBytes: 1024 * 1024, clock: systemClock, log },
    }),
  );
  return new RedisHistory(await open('writes'), kept);
}
