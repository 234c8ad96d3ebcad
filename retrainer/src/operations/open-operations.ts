import { Closing } from '@hotloop/platform/closing.ts';
import { brokerListSchema, type Environment, readConfig, urlSchema, z } from '@hotloop/platform/config.ts';
import { listTopics } from '@hotloop/platform/kafka/list-topics.ts';
import { createLog } from '@hotloop/platform/log.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import { migrate } from '@hotloop/platform/postgres/migrate.ts';
import { openPool, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { openRedis, type RedisClient } from '@hotloop/platform/redis/redis.ts';
import { SERVICE_VARIABLES } from '@hotloop/platform/start-up/settings.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

const settingsSchema = z.object({
  DATABASE_URL: urlSchema('postgres', 'postgresql'),
  HOTLOOP_STORE: z.string().min(1),
  REDIS_CACHE_URL: urlSchema('redis', 'rediss').optional(),
  REDIS_QUEUE_URL: urlSchema('redis', 'rediss').optional(),
  KAFKA_BROKERS: brokerListSchema().optional(),
  HOTLOOP_TLS_CERT: z.string().min(1).optional(),
});

/** The stores of one installation, for commands that access them directly. Disposing closes the connections. */
export interface Operations extends AsyncDisposable {
  readonly pool: Pool;
  readonly store: ObjectStore;
  /** The store's folder; undefined for a bucket. */
  readonly folder: string | undefined;
  /** Migrates the database to the newest schema. */
  migrate(): Promise<void>;
  /** Opens a connection to the cache for one call. Throws INVALID_ARGUMENT if REDIS_CACHE_URL is not set. */
  withCache<T>(use: (redis: RedisClient) => Promise<T>): Promise<T>;
  readonly redis: Readonly<Record<'cache' | 'queue', () => Promise<void>>>;
  /** The topics of Kafka; undefined if no broker is set. */
  readonly topics: (() => Promise<readonly string[]>) | undefined;
  /** File of the TLS certificate. */
  readonly certificate: string | undefined;
}

/** Opens the stores that an environment names. Throws INVALID_ARGUMENT naming the variable that is missing. */
export function openOperations(environment: Environment): Operations {
  const settings = readConfig(settingsSchema, environment, { prefix: 'HOTLOOP_', known: SERVICE_VARIABLES });
  const log = createLog({ service: 'hotloop', level: 'error' });
  const closing = new Closing(log);
  const pool = closing.use(
    'Postgres',
    // No query timeout: pg never clears its timer for a COPY, and the command could not end before the timeout.
    openPool(settings.DATABASE_URL, { max: 2, queryTimeoutMs: 0, application: 'hotloop', log }),
  );
  const store = openObjectStore(settings.HOTLOOP_STORE);
  closing.defer('store', () => store[Symbol.dispose]());
  const withRedis = async <T>(
    role: 'cache' | 'queue',
    url: string | undefined,
    use: (redis: RedisClient) => Promise<T>,
  ): Promise<T> => {
    const variable = role === 'cache' ? 'REDIS_CACHE_URL' : 'REDIS_QUEUE_URL';
    if (url === undefined) throw new HotloopError('INVALID_ARGUMENT', `${variable} is not set`);
    await using redis = await openRedis(url, { commandTimeoutMs: 10_000, role, name: 'operations', log });
    return await use(redis);
  };
  const brokers = settings.KAFKA_BROKERS;
  const ping = (role: 'cache' | 'queue', url: string | undefined) =>
    withRedis(role, url, async (redis) => void (await redis.ping()));
  return {
    pool,
    store,
    folder: settings.HOTLOOP_STORE.startsWith('s3://') ? undefined : settings.HOTLOOP_STORE,
    migrate: async () => void (await migrate(settings.DATABASE_URL, { log })),
    withCache: (use) => withRedis('cache', settings.REDIS_CACHE_URL, use),
    redis: {
      cache: () => ping('cache', settings.REDIS_CACHE_URL),
      queue: () => ping('queue', settings.REDIS_QUEUE_URL),
    },
    topics: brokers && (() => listTopics({ brokers, clientId: 'hotloop-doctor', log })),
    certificate: settings.HOTLOOP_TLS_CERT,
    [Symbol.asyncDispose]: async () => void (await closing.close(10_000)),
  };
}
