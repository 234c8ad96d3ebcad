import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startKafka } from '@hotloop/deploy/backing/kafka.ts';
import { startPostgres } from '@hotloop/deploy/backing/postgres.ts';
import { startRedis } from '@hotloop/deploy/backing/redis.ts';
import { systemPrograms } from '@hotloop/deploy/backing/system-programs.ts';
import { startWatchdog } from '@hotloop/deploy/backing/watchdog.ts';
import { CACHE } from './bench-local.ts';
import { signalTree } from './process-tree.ts';

/** Everything that is stored outside of the services. `redis` means both instances. */
export type StoreName = 'postgres' | 'redis' | 'kafka';

export interface StoreAddresses {
  readonly databaseUrl: string;
  readonly redisCacheUrl: string;
  readonly redisQueueUrl: string;
  readonly kafkaBrokers: string;
}

/** Postgres, both Redis and the embedded broker, with fault injection. Disposing stops them. */
export interface Stores extends AsyncDisposable, StoreAddresses {
  /** Stops its processes with SIGSTOP: connections stay open, nothing answers. Disposing the result resumes them. */
  freeze(store: StoreName): Disposable;
  /** Kills its processes (SIGKILL) repeatedly until the result is disposed of; then it restarts by itself. */
  stop(store: StoreName): Disposable;
}

const START_MS = 120_000;
const AGAIN_MS = 100;

function endNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has not been restarted yet.
  }
}

/** Postgres has the settings of `npm start`, or others from `postgresSettings`. */
export async function startStores(
  folder: string,
  postgresSettings: Readonly<Record<string, string>> = {},
): Promise<Stores> {
  await using opened = new AsyncDisposableStack();
  const signal = AbortSignal.timeout(START_MS);
  const log = () => undefined;
  const { redis, kcat } = await systemPrograms({ needed: ['redis', 'kcat'], cacheDir: CACHE, log }, signal);
  if (!redis || !kcat) throw new Error('redis-server or kcat is missing');
  const given = { watchdog: opened.use(startWatchdog()), log };
  const [postgres, cache, queue, kafka] = await Promise.all([
    startPostgres({ ...given, dir: join(folder, 'postgres'), settings: postgresSettings }, signal),
    startRedis({ ...given, dir: join(folder, 'redis-cache'), role: 'cache', program: redis }, signal),
    startRedis({ ...given, dir: join(folder, 'redis-queue'), role: 'queue', program: redis }, signal),
    startKafka({ ...given, dir: join(folder, 'kafka'), program: kcat }, signal),
  ]);
  for (const server of [kafka, queue, cache, postgres]) opened.use(server);
  const servers = { postgres: [postgres], redis: [cache, queue], kafka: [kafka] } as const;
  const signalAll = (store: StoreName, sent: NodeJS.Signals) => {
    for (const server of servers[store]) signalTree(server.pid, sent);
  };
  const stack = opened.move();
  return {
    databaseUrl: postgres.url,
    redisCacheUrl: cache.url,
    redisQueueUrl: queue.url,
    kafkaBrokers: kafka.brokers,
    freeze(store) {
      signalAll(store, 'SIGSTOP');
      return { [Symbol.dispose]: () => signalAll(store, 'SIGCONT') };
    },
    stop(store) {
      const over = new AbortController();
      void (async () => {
        while (!over.signal.aborted) {
          // Only the server itself: processes that it started end with it.
          for (const { pid } of servers[store]) endNow(pid);
          await delay(AGAIN_MS);
        }
      })();
      return { [Symbol.dispose]: () => over.abort() };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
