import { join, resolve } from 'node:path';
import { BackingServiceError } from './backing-service-error.ts';
import { claimFolder } from './folder-claim.ts';
import { startKafka } from './kafka.ts';
import { startPostgres } from './postgres.ts';
import { type RedisRole, startRedis } from './redis.ts';
import { type SystemProgram, type SystemProgramKind, systemPrograms } from './system-programs.ts';
import { startWatchdog } from './watchdog.ts';

/** Addresses of services that run elsewhere; absent ones are embedded. Named as in the environment. */
export interface BackingAddresses {
  readonly DATABASE_URL?: string | undefined;
  readonly REDIS_CACHE_URL?: string | undefined;
  readonly REDIS_QUEUE_URL?: string | undefined;
  /** `host:port[,host:port...]` */
  readonly KAFKA_BROKERS?: string | undefined;
}

export interface BackingServicesOptions {
  /** Contains the data of the embedded services; one running Hotloop at a time. */
  readonly dir: string;
  /** Contains unpacked system packages; shared and safe to delete. */
  readonly cacheDir: string;
  readonly addresses: BackingAddresses;
  readonly postgresSettings?: Readonly<Record<string, string>> | undefined;
  /** Where the embedded Postgres archives its log. */
  readonly walFolder?: string | undefined;
  readonly redisDatabases?: number | undefined;
  readonly log: (line: string) => void;
}

/** Disposing stops the embedded services in reverse order of their start; a step that fails never skips the next. */
export interface BackingServices extends AsyncDisposable {
  readonly databaseUrl: string;
  readonly redisCacheUrl: string;
  readonly redisQueueUrl: string;
  readonly kafkaBrokers: string;
}

/**
 * Returns the four addresses that every service is configured with, starting all services that have none,
 * concurrently.
 *
 * Owns the folder, the watchdog and the embedded servers until disposed of. Throws ALREADY_RUNNING when the folder is
 * in use, MISSING_PROGRAM or START_FAILED when something cannot start, or the signal's reason; everything that was
 * started is stopped then.
 */
export async function startBackingServices(
  options: BackingServicesOptions,
  signal: AbortSignal,
): Promise<BackingServices> {
  const opened = new AsyncDisposableStack();
  try {
    opened.use(await claimFolder(resolve(options.dir)));
    const urls = await startServers(options, opened, signal);
    let stopped: Promise<void> | undefined;
    return {
      ...urls,
      [Symbol.asyncDispose]: () => {
        stopped ??= opened.disposeAsync();
        return stopped;
      },
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

/** The first failure cancels the other starts; servers that are up by then are still passed to `opened`. */
async function startServers(
  options: BackingServicesOptions,
  opened: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Omit<BackingServices, keyof AsyncDisposable>> {
  const dir = resolve(options.dir);
  const { DATABASE_URL, REDIS_CACHE_URL, REDIS_QUEUE_URL, KAFKA_BROKERS } = options.addresses;
  const needed: SystemProgramKind[] = [];
  if (!REDIS_CACHE_URL || !REDIS_QUEUE_URL) needed.push('redis');
  if (!KAFKA_BROKERS) needed.push('kcat');
  const programs = await systemPrograms({ needed, cacheDir: options.cacheDir, log: options.log }, signal);

  const failed = new AbortController();
  const together = AbortSignal.any([signal, failed.signal]);
  const given = { watchdog: opened.use(startWatchdog()), log: options.log };
  const redis = async (role: RedisRole) => {
    const program = present(programs.redis);
    return startRedis(
      { ...given, dir: join(dir, `redis-${role}`), role, program, databases: options.redisDatabases },
      together,
    );
  };
  // In reverse order of stopping: Postgres, the source of truth, stops last.
  const starts = [
    DATABASE_URL ||
      startPostgres(
        {
          ...given,
          dir: join(dir, 'postgres'),
          settings: options.postgresSettings,
          walFolder: options.walFolder,
        },
        together,
      ),
    REDIS_CACHE_URL || redis('cache'),
    REDIS_QUEUE_URL || redis('queue'),
    KAFKA_BROKERS ||
      startKafka({ ...given, dir: join(dir, 'kafka'), program: present(programs.kcat) }, together),
  ] as const;
  for (const start of starts)
    if (typeof start !== 'string') start.catch((error: unknown) => failed.abort(error));
  const servers = await Promise.allSettled(starts);
  for (const server of servers) {
    if (server.status === 'fulfilled' && typeof server.value !== 'string') opened.use(server.value);
  }
  together.throwIfAborted();
  const [postgres, cache, queue, kafka] = await Promise.all(starts);
  return {
    databaseUrl: typeof postgres === 'string' ? postgres : postgres.url,
    redisCacheUrl: typeof cache === 'string' ? cache : cache.url,
    redisQueueUrl: typeof queue === 'string' ? queue : queue.url,
    kafkaBrokers: typeof kafka === 'string' ? kafka : kafka.brokers,
  };
}

function present(program: SystemProgram | undefined): SystemProgram {
  if (program === undefined)
    throw new BackingServiceError('MISSING_PROGRAM', 'a requested program was not looked up');
  return program;
}
