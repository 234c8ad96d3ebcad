import { HotloopError } from '@hotloop/proto/errors.ts';
import { Cluster, Redis } from 'ioredis';
import type { Log } from '../log.ts';
import { within } from '../within.ts';

/**
 * A single server, the leader chosen by sentinels, or a cluster. In a cluster, one command, script or pipeline may
 * only use keys of one slot.
 */
export type RedisClient = Redis & AsyncDisposable;

export interface RedisOptions {
  /** Time limit of every command, which also applies when the server is frozen. */
  readonly commandTimeoutMs: number;
  /** cache: data may be evicted and lost. queue: the policy must be noeviction, otherwise opening fails. */
  readonly role: 'cache' | 'queue';
  /** Sends the commands of one turn of the event loop together; for the hot path, never for BullMQ. Default false. */
  readonly autoPipelining?: boolean;
  /** For connections that BullMQ blocks on: no command timeout, and commands wait for a reconnection. Default false. */
  readonly blocking?: boolean;
  /** How long to wait for the first connection; default 5000. A cache that cannot be reached is opened anyway. */
  readonly connectTimeoutMs?: number;
  /**
   * For the connection that receives the names of changed keys (`TrackedReads`): uses RESP2, because the library ignores
   * invalidation messages of RESP3. Default false.
   */
  readonly hearsChanges?: boolean;
  readonly name: string;
  readonly log: Log;
}

const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 2000;
const QUIT_MS = 500;

/**
 * Opens `redis://[user:password@]host:port[/database]`, or `rediss://` for TLS. Several servers:
 * `?sentinel=NAME&nodes=host:port,host:port` (the address and `nodes` are sentinels, which are asked for the leader
 * of NAME) or `?cluster=true&nodes=host:port,...` (only for caches). While the connection is lost, commands fail at
 * once (no offline queue), and it reconnects by itself. Rejects UNAVAILABLE when a queue cannot be reached,
 * FAILED_PRECONDITION when a queue's maxmemory-policy would lose jobs or it is a cluster.
 */
export async function openRedis(url: string, options: RedisOptions): Promise<RedisClient> {
  const redis = clientOf(url, options);
  watch(redis, options);
  const isReady = await connect(redis, options.connectTimeoutMs ?? 5000);
  try {
    if (!isReady && options.role === 'queue')
      throw new HotloopError('UNAVAILABLE', 'the queue (Redis) cannot be reached', { reason: 'queue_away' });
    if (options.role === 'queue') await refuseEviction(redis);
  } catch (error) {
    redis.disconnect();
    throw error;
  }
  if (!isReady)
    options.log.warn({ redis: options.name }, 'Redis cannot be reached yet; continuing without it');
  return Object.assign(redis, { [Symbol.asyncDispose]: () => close(redis) });
}

function clientOf(url: string, options: RedisOptions): Redis {
  const parsed = new URL(url);
  const nodes = nodesOf(parsed);
  const name = parsed.searchParams.get('sentinel');
  const isCluster = parsed.searchParams.get('cluster') === 'true';
  if (name === null && !isCluster) return new Redis(url, libraryOptions(options));
  const login = {
    ...(parsed.username === '' ? {} : { username: decodeURIComponent(parsed.username) }),
    ...(parsed.password === '' ? {} : { password: decodeURIComponent(parsed.password) }),
    ...(parsed.protocol === 'rediss:' ? { tls: {} } : {}),
  };
  if (name !== null)
    return new Redis({
      ...{ sentinels: nodes, name, db: Number(parsed.pathname.slice(1)) || 0 },
      ...(login.tls ? { enableTLSForSentinelMode: true } : {}),
      ...login,
      ...(login.password === undefined ? {} : { sentinelPassword: login.password }),
      ...libraryOptions(options),
    });
  if (options.role === 'queue')
    throw new HotloopError(
      'FAILED_PRECONDITION',
      'the queue cannot be a Redis Cluster: use one server, or sentinels (?sentinel=NAME&nodes=…)',
      { reason: 'queue_is_cluster' },
    );
  const { lazyConnect, retryStrategy, enableOfflineQueue, ...redisOptions } = libraryOptions(options);
  const cluster = new Cluster(nodes, {
    ...{ lazyConnect, enableOfflineQueue, clusterRetryStrategy: retryStrategy },
    ...{ slotsRefreshTimeout: 2000, maxRedirections: 4, enableAutoPipelining: true },
    redisOptions: { ...redisOptions, ...login },
  });
  // A cluster has the commands of a single client. Code that differs (pipelines of several slots, scanning) checks
  // `isCluster`.
  return cluster as unknown as Redis;
}

/** Throws INVALID_ARGUMENT for a node that is not host:port. */
function nodesOf(url: URL): { host: string; port: number }[] {
  const others = (url.searchParams.get('nodes') ?? '').split(',').filter((node) => node !== '');
  return [`${url.hostname}:${url.port || '6379'}`, ...others].map((node) => {
    const [, host, port] = /^(.+):(\d{1,5})$/.exec(node) ?? [];
    if (host === undefined || port === undefined)
      throw new HotloopError('INVALID_ARGUMENT', 'each of the nodes of a Redis URL must be host:port', {
        reason: 'invalid_configuration',
      });
    return { host, port: Number(port) };
  });
}

function libraryOptions(options: RedisOptions) {
  const blocking = options.blocking ?? false;
  return {
    lazyConnect: true,
    // `TrackedReads` subscribes again itself after each reconnection.
    ...(options.hearsChanges ? { protocol: 2 as const, autoResubscribe: false } : {}),
    connectionName: options.name,
    connectTimeout: 2000,
    keepAlive: 5000,
    noDelay: true,
    enableOfflineQueue: blocking,
    enableAutoPipelining: options.autoPipelining ?? false,
    maxRetriesPerRequest: blocking ? null : 0,
    // A command whose answer was lost counts as failed; the caller decides whether to send it again.
    autoResendUnfulfilledCommands: blocking,
    ...(blocking ? {} : { commandTimeout: options.commandTimeoutMs }),
    retryStrategy: (attempt: number) => Math.min(FIRST_WAIT_MS * 2 ** (attempt - 1), LONGEST_WAIT_MS),
  };
}

/** Logs one line when the connection is lost and one when it is back, however many attempts are in between. */
function watch(redis: Redis, options: RedisOptions): void {
  let away = false;
  redis.on('error', (error) => {
    if (!away) options.log.warn({ redis: options.name, error }, 'the Redis connection failed');
    away = true;
  });
  redis.on('ready', () => {
    if (away) options.log.info({ redis: options.name }, 'the Redis connection is back');
    away = false;
  });
}

/** Waits for a usable connection. After the timeout the library keeps trying. */
async function connect(redis: Redis, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (isReady: boolean) => {
      clearTimeout(timer);
      redis.off('ready', ready);
      resolve(isReady);
    };
    const ready = () => done(true);
    const timer = setTimeout(() => done(false), timeoutMs);
    redis.once('ready', ready);
    // The first failure is not final: the library continues by retryStrategy.
    redis.connect().catch(() => undefined);
  });
}

/** Uses INFO instead of CONFIG GET, which managed servers forbid. */
async function refuseEviction(redis: Redis): Promise<void> {
  let info: string;
  try {
    info = await redis.info('memory');
  } catch (cause) {
    throw new HotloopError('UNAVAILABLE', 'the queue (Redis) does not answer', {
      reason: 'queue_away',
      cause,
    });
  }
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'unknown';
  if (policy !== 'noeviction')
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `the Redis of the queue has maxmemory-policy ${policy}, which may evict jobs: set it to noeviction, and use another Redis for the cache`,
      { reason: 'queue_would_evict' },
    );
}

async function close(redis: Redis): Promise<void> {
  if (redis.status === 'ready')
    await within(
      redis.quit().catch(() => undefined),
      QUIT_MS,
      () => undefined,
    );
  redis.disconnect();
}
