import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { inject } from 'vitest';

/** What the global set-up of the test run provides to every test file: one set of real services, shared by all. */
export interface TestServiceAddresses {
  /** A superuser's URL; use `createTestDatabase` instead of this database. */
  readonly databaseUrl: string;
  /** A database of the same server with every migration applied, which `createMigratedDatabase` copies. */
  readonly migratedDatabase: string;
  readonly redisCacheUrl: string;
  readonly redisQueueUrl: string;
  /** `host:port`, the form of KAFKA_BROKERS. */
  readonly kafkaBrokers: string;
  /** How many logical databases each Redis has. */
  readonly redisDatabases: number;
}

declare module 'vitest' {
  interface ProvidedContext {
    hotloopServices: TestServiceAddresses;
  }
}

const TIMEOUT_MS = 30_000;

/** Addresses of this run's real Postgres, Redis and Kafka. Throws when the run has no global set-up. */
export function testServices(): TestServiceAddresses {
  const addresses: TestServiceAddresses | undefined = inject('hotloopServices');
  if (addresses === undefined) {
    throw new Error('no test services: run vitest from the repository root, whose configuration starts them');
  }
  return addresses;
}

/** A separate database. Disposing drops it and its connections. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  readonly name: string;
}

/** Creates an empty database with a unique name: `await using database = await createTestDatabase()`. */
export async function createTestDatabase(): Promise<TestDatabase> {
  return createDatabase('');
}

/** Creates a database with every migration applied. Copying one takes a fifth of the time of migrating it. */
export async function createMigratedDatabase(): Promise<TestDatabase> {
  return createDatabase(`TEMPLATE "${testServices().migratedDatabase}"`);
}

async function createDatabase(like: string): Promise<TestDatabase> {
  const { databaseUrl } = testServices();
  const name = uniqueName('test').replaceAll('-', '_');
  await administrate(databaseUrl, `CREATE DATABASE "${name}" ${like}`);
  const url = new URL(databaseUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    name,
    [Symbol.asyncDispose]: () => administrate(databaseUrl, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`),
  };
}

/** A separate, empty logical Redis database. Disposing empties it. */
export interface TestRedis extends AsyncDisposable {
  readonly url: string;
}

/** `cache` evicts old keys (allkeys-lru); `queue` rejects writes instead (noeviction), as BullMQ requires. */
export async function createTestRedis(role: 'cache' | 'queue'): Promise<TestRedis> {
  const { redisCacheUrl, redisQueueUrl, redisDatabases } = testServices();
  const base = role === 'cache' ? redisCacheUrl : redisQueueUrl;
  // Database 0 holds the counter that assigns the others.
  const number = await withRedis(`${base}/0`, (redis) => redis.incr('next-test-database'));
  if (number >= redisDatabases) throw new Error(`this run used up its ${redisDatabases} Redis databases`);
  const url = `${base}/${number}`;
  return {
    url,
    [Symbol.asyncDispose]: () => withRedis(url, (redis) => redis.flushdb()).then(() => undefined),
  };
}

/** A unique name for topics, groups etc.: `prefix-1f0c...`. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomUUID()}`;
}

async function administrate(url: string, statement: string): Promise<void> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
  });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

async function withRedis<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { lazyConnect: true, connectTimeout: TIMEOUT_MS, maxRetriesPerRequest: 1 });
  try {
    await redis.connect();
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}
