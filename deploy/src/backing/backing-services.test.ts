import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BackingAddresses, type BackingServices, startBackingServices } from './backing-services.ts';
import { processIdentity } from './process-identity.ts';

const CACHE_DIR = join(import.meta.dirname, '..', '..', '..', '.hotloop', 'cache');
const NEVER = new AbortController().signal;
const GONE_WITHIN_MS = 20_000;

let root: string;
let count = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'hotloop-backing-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A folder that earlier tests may have used, which saves creating a database. */
function usedFolder(): string {
  return join(root, 'used');
}

function freshFolder(): string {
  count += 1;
  return join(root, String(count));
}

function start(dir: string, addresses: BackingAddresses = {}, signal = NEVER): Promise<BackingServices> {
  const postgresSettings = { fsync: 'off' };
  return startBackingServices(
    { dir, cacheDir: CACHE_DIR, addresses, postgresSettings, log: () => undefined },
    signal,
  );
}

/** The processes that run for `dir`, as recorded next to their data. */
async function runningFor(dir: string): Promise<Map<string, number>> {
  const running = new Map<string, number>();
  for (const name of await readdir(dir)) {
    const text = await readFile(join(dir, name, 'process.json'), 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const { pid, identity }: { pid: number; identity: string } = JSON.parse(text);
    if ((await processIdentity(pid)) === identity) running.set(name, pid);
  }
  return running;
}

async function gone(pids: Iterable<number>): Promise<boolean> {
  const until = performance.now() + GONE_WITHIN_MS;
  for (const pid of pids) {
    while ((await processIdentity(pid)) !== undefined) {
      if (performance.now() > until) return false;
      await delay(20);
    }
  }
  return true;
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

async function settings(url: string, ...names: string[]): Promise<string[]> {
  const redis = new Redis(url);
  try {
    return await Promise.all(
      names.map(async (name) => ((await redis.config('GET', name)) as string[])[1] ?? ''),
    );
  } finally {
    redis.disconnect();
  }
}

describe('embedded backing services', () => {
  it('are the real ones, on loopback, behind passwords, each set for its role', async () => {
    await using services = await start(usedFolder());
    const [version] = await query(services.databaseUrl, 'SHOW server_version');
    expect(version).toMatchObject({ server_version: expect.stringMatching(/^18\./) });
    expect(await query(services.databaseUrl, 'SHOW listen_addresses')).toEqual([
      { listen_addresses: '127.0.0.1' },
    ]);
    expect(
      await settings(services.redisCacheUrl, 'maxmemory-policy', 'maxmemory', 'save', 'appendonly'),
    ).toEqual(['allkeys-lru', String(256 * 1024 * 1024), '', 'no']);
    expect(await settings(services.redisQueueUrl, 'maxmemory-policy', 'appendonly', 'appendfsync')).toEqual([
      'noeviction',
      'yes',
      'everysec',
    ]);
    const wrong = new URL(services.databaseUrl);
    wrong.password = 'guessed';
    await expect(query(wrong.href, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
    const stranger = new Redis(services.redisCacheUrl.replace(/:[^:@]+@/, ':guessed@'), {
      maxRetriesPerRequest: 0,
    });
    stranger.on('error', () => undefined);
    await expect(stranger.get('x')).rejects.toThrow();
    stranger.disconnect();
  });

  it('come back at the same address, with what they stored, after kill -9', async () => {
    const dir = usedFolder();
    await using services = await start(dir, { REDIS_CACHE_URL: 'x', KAFKA_BROKERS: 'x' });
    await query(services.databaseUrl, 'DROP TABLE IF EXISTS kept');
    await query(services.databaseUrl, 'CREATE TABLE kept AS SELECT 42 AS n');
    const killed = await runningFor(dir);
    expect(killed.size).toBe(2);
    for (const pid of killed.values()) process.kill(pid, 'SIGKILL');
    const stored = () => query(services.databaseUrl, 'SELECT n FROM kept').catch(() => []);
    await expect.poll(stored, { timeout: 20_000, interval: 100 }).toEqual([{ n: 42 }]);
    const policy = () => settings(services.redisQueueUrl, 'maxmemory-policy').catch(() => []);
    await expect.poll(policy, { timeout: 20_000, interval: 100 }).toEqual(['noeviction']);
    const pids = await runningFor(dir);
    for (const [name, pid] of killed) expect(pids.get(name)).not.toBe(pid);
  });

  it('carry a message from a producer to a consumer', async () => {
    await using services = await start(freshFolder(), {
      DATABASE_URL: 'x',
      REDIS_CACHE_URL: 'x',
      REDIS_QUEUE_URL: 'x',
    });
    const kafka = new Kafka({ brokers: [services.kafkaBrokers], logLevel: logLevel.NOTHING });
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    await producer.send({ topic: 'greetings', messages: [{ value: 'hello' }] });
    await producer.disconnect();
    const consumer = kafka.consumer({ groupId: 'readers' });
    const received = Promise.withResolvers<string>();
    await consumer.connect();
    await consumer.subscribe({ topic: 'greetings', fromBeginning: true });
    await consumer.run({ eachMessage: async ({ message }) => received.resolve(String(message.value)) });
    expect(await received.promise).toBe('hello');
    await consumer.disconnect();
  });

  it('start a Kafka that was killed again at the same address', async () => {
    const dir = freshFolder();
    await using services = await start(dir, {
      DATABASE_URL: 'x',
      REDIS_CACHE_URL: 'x',
      REDIS_QUEUE_URL: 'x',
    });
    const kafka = new Kafka({ brokers: [services.kafkaBrokers], logLevel: logLevel.NOTHING });
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    await producer.send({ topic: 'before', messages: [{ value: 'lost' }] });
    const killed = (await runningFor(dir)).get('kafka') as number;
    process.kill(killed, 'SIGKILL');
    await producer.send({ topic: 'after', messages: [{ value: 'kept' }] });
    await producer.disconnect();
    const admin = kafka.admin();
    await admin.connect();
    expect(await admin.listTopics()).toContain('after');
    expect((await runningFor(dir)).get('kafka')).not.toBe(killed);
    await admin.disconnect();
  });

  it('keep their data over a restart in the same folder, with the password readable only by the owner', async () => {
    const dir = freshFolder();
    {
      await using first = await start(dir);
      await query(first.databaseUrl, 'CREATE TABLE kept (id int); INSERT INTO kept VALUES (42)');
      const queue = new Redis(first.redisQueueUrl);
      await queue.set('job', 'waiting');
      queue.disconnect();
      const pids = await runningFor(dir);
      expect([...pids.keys()].sort()).toEqual(['kafka', 'postgres', 'redis-cache', 'redis-queue']);
      await first[Symbol.asyncDispose]();
      expect(await gone(pids.values())).toBe(true);
    }
    await using second = await start(dir);
    expect(await query(second.databaseUrl, 'SELECT id FROM kept')).toEqual([{ id: 42 }]);
    const queue = new Redis(second.redisQueueUrl);
    expect(await queue.get('job')).toBe('waiting');
    queue.disconnect();
    for (const file of ['postgres/password', 'redis-queue/redis.conf']) {
      expect((await stat(join(dir, file))).mode & 0o777).toBe(0o600);
    }
  });

  it('name the remedy when the password of an existing database is missing', async () => {
    const dir = freshFolder();
    await mkdir(join(dir, 'postgres', 'data'), { recursive: true });
    await expect(start(dir)).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringMatching(/password cannot be read.*Put it back, or remove/),
    });
  });

  it('refuse a second start in the same folder with a clear message, and leave the first alone', async () => {
    const dir = usedFolder();
    await using first = await start(dir);
    await expect(start(dir)).rejects.toMatchObject({
      code: 'ALREADY_RUNNING',
      message: expect.stringMatching(/already runs from this folder.*Ctrl-C/),
    });
    expect(await query(first.databaseUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('are not started if an address is given', async () => {
    const dir = freshFolder();
    const addresses = {
      DATABASE_URL: 'postgres://elsewhere/db',
      REDIS_CACHE_URL: 'redis://elsewhere:1',
      REDIS_QUEUE_URL: 'redis://elsewhere:2',
      KAFKA_BROKERS: 'elsewhere:9092',
    };
    await using services = await start(dir, addresses);
    expect(services).toMatchObject({
      databaseUrl: addresses.DATABASE_URL,
      redisCacheUrl: addresses.REDIS_CACHE_URL,
      redisQueueUrl: addresses.REDIS_QUEUE_URL,
      kafkaBrokers: addresses.KAFKA_BROKERS,
    });
    expect((await runningFor(dir)).size).toBe(0);
  });
});

describe('nothing is left behind', () => {
  it('when one of them cannot start', async () => {
    const dir = freshFolder();
    await mkdir(join(dir, 'postgres', 'data'), { recursive: true });
    await writeFile(join(dir, 'postgres', 'data', 'PG_VERSION'), '9\n');
    await writeFile(join(dir, 'postgres', 'password'), 'p\n');
    await expect(start(dir)).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringMatching(/Postgres ended while starting/),
    });
    expect((await runningFor(dir)).size).toBe(0);
    expect((await readdir(dir)).includes('owner.json')).toBe(false);
  });

  it.each([0, 50, 200, 500])('when the start is aborted after %i ms', async (afterMs) => {
    const dir = freshFolder();
    const signal = AbortSignal.timeout(afterMs);
    const started = start(dir, {}, signal);
    // A fast machine may finish before the longest of these.
    const services = await started.catch((error: unknown) => {
      expect(error).toBe(signal.reason);
      return undefined;
    });
    await services?.[Symbol.asyncDispose]();
    expect((await runningFor(dir)).size).toBe(0);
    expect((await readdir(dir)).includes('owner.json')).toBe(false);
  });

  it('when stopping one of them fails: the others are stopped, and the failure is reported', async () => {
    const dir = usedFolder();
    const services = await start(dir);
    const pids = await runningFor(dir);
    // A folder in the place of a process record, which therefore cannot be removed. It is that of the service started
    // last and stopped first.
    await rm(join(dir, 'kafka', 'process.json'));
    await mkdir(join(dir, 'kafka', 'process.json'));
    await expect(services[Symbol.asyncDispose]()).rejects.toThrow(/process\.json/);
    expect(pids.size).toBe(4);
    expect(await gone(pids.values())).toBe(true);
    await rm(join(dir, 'kafka', 'process.json'), { recursive: true });
    await using _again = await start(dir);
  });

  it('when their parent is killed, and the folder can be used again at once', async () => {
    const dir = usedFolder();
    const script = `
      const { startBackingServices } = await import(${JSON.stringify(join(import.meta.dirname, 'backing-services.ts'))});
      await startBackingServices({ dir: ${JSON.stringify(dir)}, cacheDir: ${JSON.stringify(CACHE_DIR)}, addresses: {}, log: () => {} },
        new AbortController().signal);
      console.log('up');
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(createInterface({ input: parent.stdout }), 'line');
    const pids = await runningFor(dir);
    expect(pids.size).toBe(4);
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    expect(await gone(pids.values())).toBe(true);
    await using again = await start(dir);
    expect(await query(again.databaseUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('when parent and watchdog are both killed: the next start in the folder ends the remaining processes', async () => {
    const dir = freshFolder();
    const script = `
      const { startRedis } = await import(${JSON.stringify(join(import.meta.dirname, 'redis.ts'))});
      const { systemPrograms } = await import(${JSON.stringify(join(import.meta.dirname, 'system-programs.ts'))});
      const signal = new AbortController().signal;
      const log = () => {};
      const { redis } = await systemPrograms({ needed: ['redis'], cacheDir: ${JSON.stringify(CACHE_DIR)}, log }, signal);
      const watchdog = { watch() {}, forget() {} };
      await startRedis({ dir: ${JSON.stringify(join(dir, 'redis-cache'))}, role: 'cache', program: redis, watchdog, log }, signal);
      console.log('up');
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(createInterface({ input: parent.stdout }), 'line');
    const [left] = (await runningFor(dir)).values();
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    expect(await processIdentity(left ?? 0)).toBeDefined();
    await using _services = await start(dir, { DATABASE_URL: 'x', KAFKA_BROKERS: 'x', REDIS_QUEUE_URL: 'x' });
    expect(await processIdentity(left ?? 0)).toBeUndefined();
  });
});
