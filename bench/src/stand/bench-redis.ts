import { join } from 'node:path';
import { startRedis } from '@hotloop/deploy/backing/redis.ts';
import { systemPrograms } from '@hotloop/deploy/backing/system-programs.ts';
import { startWatchdog } from '@hotloop/deploy/backing/watchdog.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openRedis, type RedisClient } from '@hotloop/platform/redis/redis.ts';
import { CACHE } from './bench-local.ts';

export interface BenchRedis extends AsyncDisposable {
  readonly redis: RedisClient;
  readonly url: string;
}

const START_MS = 120_000;

/** A separate Redis for the benchmark and a client of it. Without a memory limit when `unbounded`. */
export async function startBenchRedis(folder: string, unbounded = false): Promise<BenchRedis> {
  await using opened = new AsyncDisposableStack();
  const signal = AbortSignal.timeout(START_MS);
  const log = () => undefined;
  const programs = await systemPrograms({ needed: ['redis'], cacheDir: CACHE, log }, signal);
  if (programs.redis === undefined) throw new RangeError('there is no redis-server on this machine');
  const server = opened.use(
    await startRedis(
      {
        ...{ dir: join(folder, 'redis'), role: 'cache', program: programs.redis },
        ...{ watchdog: opened.use(startWatchdog()), log },
      },
      signal,
    ),
  );
  const redis = opened.use(
    await openRedis(server.url, { commandTimeoutMs: 60_000, role: 'cache', name: 'bench', log: silentLog() }),
  );
  if (unbounded) await redis.config('SET', 'maxmemory', '0');
  const stack = opened.move();
  return { redis, url: server.url, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
