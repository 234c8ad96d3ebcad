import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { fetchDebianPackages } from '@hotloop/deploy/backing/debian-packages.ts';
import { freePort } from '@hotloop/deploy/backing/free-port.ts';
import { type KafkaLogin, startRealKafka } from '@hotloop/deploy/backing/real-kafka.ts';
import { type SystemProgram, systemPrograms } from '@hotloop/deploy/backing/system-programs.ts';
import { startWatchdog } from '@hotloop/deploy/backing/watchdog.ts';
import { eventsOf } from '@hotloop/model/features/event-list.ts';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { makeTestCertificates } from '@hotloop/platform/testing/test-certificates.ts';
import type { RedisHistory } from '@hotloop/preprocessor/history/redis-history.ts';
import { openRunQueue } from '@hotloop/retrainer/runs/queue/run-queue.ts';
import { type Figure, figure } from '../figure.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { CACHE } from '../stand/bench-local.ts';
import { startCluster } from '../stand/cluster.ts';
import { DRILL_MODEL, drillInput, makeLive, openDrillClient } from '../stand/drill-model.ts';
import { historyAt } from '../stand/history-at.ts';
import { type StoreAddresses, type Stores, startStores } from '../stand/stores.ts';
import type { Drill } from './drill.ts';
import { kafkaTransactions } from './kafka-transactions.ts';

const START_MS = 180_000;
const BACK_MS = 60_000;
const ENTITIES = 100;
const PREDICTIONS = 200;

type Trial = (folder: string, say: (line: string) => void) => Promise<void>;

/** A production setup of a store cannot be started on this machine. */
class Missing extends Error {}

/**
 * Stores in their production setups, each started and really used if its programs are available: Redis with
 * sentinels, Redis Cluster, Postgres behind PgBouncer (session and transaction pooling), Kafka with transactions and with a login. A store
 * that is not available here is named in one line.
 */
export const drillStores: Drill = async ({ say, only }): Promise<Figure[]> => {
  const trials: Readonly<Record<string, Trial>> = {
    sentinel,
    cluster,
    'pgbouncer-session': (folder) => pgbouncer(folder, 'session'),
    'pgbouncer-transaction': (folder) => pgbouncer(folder, 'transaction'),
    'kafka-transactions': kafkaTransactions,
    'kafka-plain': (folder) => kafkaLogin(folder, 'PLAIN', false),
    'kafka-scram-tls': (folder) => kafkaLogin(folder, 'SCRAM-SHA-512', true),
  };
  let passed = 0;
  let tried = 0;
  for (const [name, trial] of Object.entries(trials)) {
    if (only !== undefined && !only.split(',').includes(name)) continue;
    await using folder = await benchFolder();
    try {
      await trial(folder.path, say);
      tried++;
      passed++;
      say(`${name}: works`);
    } catch (error) {
      const told = error instanceof Error ? error.message : String(error);
      if (error instanceof Missing || told.includes('MISSING_PROGRAM') || told.startsWith('Missing')) {
        say(`${name}: not tried: ${told.split('\n')[0]}`);
        continue;
      }
      tried++;
      say(`${name}: FAILED: ${told}`);
    }
  }
  return [figure('stores_passed', [passed], { atLeast: tried }), figure('stores_tried', [tried])];
};

interface Server extends AsyncDisposable {
  readonly port: number;
  kill(): void;
}

async function redisServer(
  program: SystemProgram,
  folder: string,
  lines: (port: number) => readonly string[],
  args: readonly string[] = [],
): Promise<Server> {
  const port = await freePort();
  const own = join(folder, `redis-${port}`);
  await mkdir(own, { recursive: true });
  const file = join(own, 'redis.conf');
  await writeFile(file, [`port ${port}`, 'bind 127.0.0.1', `dir ${own}`, ...lines(port)].join('\n'));
  const child = spawn(program.command, [file, ...args], { env: program.env, stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    port,
    kill: () => void child.kill('SIGKILL'),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function redisProgram(): Promise<SystemProgram> {
  const options = { needed: ['redis'], cacheDir: CACHE, log: () => undefined } as const;
  const { redis } = await systemPrograms(options, AbortSignal.timeout(START_MS));
  if (!redis) throw new Missing('redis-server is missing');
  return redis;
}

const LOGIN = 'secret';

/** One leader, one replica, three sentinels; the leader is killed. */
async function sentinel(folder: string, say: (line: string) => void): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const program = await redisProgram();
  const common = [`requirepass ${LOGIN}`, `masterauth ${LOGIN}`, 'maxmemory-policy noeviction'];
  const leader = stack.use(await redisServer(program, folder, () => common));
  stack.use(await redisServer(program, folder, () => [...common, `replicaof 127.0.0.1 ${leader.port}`]));
  await delay(2_000);
  const ports: number[] = [];
  for (let index = 0; index < 3; index++) {
    const one = stack.use(
      await redisServer(
        program,
        folder,
        () => [
          `requirepass ${LOGIN}`,
          `sentinel monitor main 127.0.0.1 ${leader.port} 2`,
          `sentinel auth-pass main ${LOGIN}`,
          'sentinel down-after-milliseconds main 1000',
          'sentinel failover-timeout main 5000',
        ],
        ['--sentinel'],
      ),
    );
    ports.push(one.port);
  }
  const [first, ...others] = ports.map((port) => `127.0.0.1:${port}`);
  const url = `redis://:${LOGIN}@${first}?sentinel=main&nodes=${others.join(',')}`;
  const history = await historyAt(stack, url);
  await until('the history behind sentinels', () => roundTrip(history, 1));
  const queue = stack.use(await openRunQueue({ url, prefix: 'drill', concurrency: 1, log: silentLog() }));
  const worked: string[] = [];
  await queue.consume(async (runId) => void worked.push(runId));
  const [before, after] = [randomUUID(), randomUUID()];
  await queue.add({ runId: before, token: 1 });
  await until('a run through the queue', () => worked.includes(before));
  leader.kill();
  const killedAt = performance.now();
  await until('the history after the failover', () => roundTrip(history, 2));
  await until('a run after the failover', async () => {
    await queue.add({ runId: after, token: 1 });
    return worked.includes(after);
  });
  say(`sentinel: back ${Math.round(performance.now() - killedAt)} ms after the leader was killed`);
}

/** Three leaders without replicas. */
async function cluster(folder: string): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const program = await redisProgram();
  const servers: Server[] = [];
  for (let index = 0; index < 3; index++)
    servers.push(
      stack.use(
        await redisServer(program, folder, () => [
          ...['cluster-enabled yes', 'cluster-node-timeout 2000', `requirepass ${LOGIN}`],
        ]),
      ),
    );
  const log = silentLog();
  const bounds = [0, 5461, 10923, 16384];
  for (const [index, { port }] of servers.entries()) {
    await using redis = await openRedis(`redis://:${LOGIN}@127.0.0.1:${port}`, {
      ...{ commandTimeoutMs: 5_000, role: 'cache', name: 'drill', log },
    });
    await redis.call('CLUSTER', 'ADDSLOTSRANGE', bounds[index] ?? 0, (bounds[index + 1] ?? 1) - 1);
    // Only possible while a node knows no other.
    await redis.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
  }
  const [first, ...others] = servers.map(({ port }) => `127.0.0.1:${port}`);
  const url = `redis://:${LOGIN}@${first}?cluster=true&nodes=${others.join(',')}`;
  await using asked = await openRedis(`redis://:${LOGIN}@${first}`, {
    ...{ commandTimeoutMs: 5_000, role: 'cache', name: 'drill', log },
  });
  for (const { port } of servers) await asked.call('CLUSTER', 'MEET', '127.0.0.1', port);
  await until('the cluster', async () =>
    String(await asked.call('CLUSTER', 'INFO')).includes('cluster_state:ok'),
  );
  const history = await historyAt(stack, url);
  await until('the history on three nodes', () => roundTrip(history, ENTITIES));
}

/** Events of many entities are read back as written, in a single read. */
async function roundTrip(history: RedisHistory, entities: number): Promise<boolean> {
  const now = Date.now();
  const ids = Array.from({ length: entities }, (_, index) => `u${index}`);
  await history.append(
    ids.map((entityId, index) => ({
      ...{ entity: 'user', entityId, event: 'view', id: `e${index}`, atMs: now, arrivalUs: now * 1000 },
      fields: { price: index },
    })),
    now,
  );
  const read = await history.read(
    ids.map((entityId) => ({
      ...{ entity: 'user', entityId, event: 'view', sinceMs: 0, limit: 10, fields: true },
    })),
  );
  return read.every((events, index) => eventsOf(events).some(({ fields }) => fields.price === index));
}

/** The services behind PgBouncer: a model is pushed, promoted and used, and every answer is in the log. */
async function pgbouncer(folder: string, mode: 'session' | 'transaction'): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const program = await pgbouncerProgram();
  const stores = stack.use(await startStores(join(folder, 'stores')));
  const url = stack.use(await startPgbouncer(program, folder, stores, mode)).url;
  const services = stack.use(
    await startCluster({
      folder,
      stores: { ...addressesOf(stores), databaseUrl: url },
      counts: { preprocessor: 1, compute: 1, postprocessor: 1, retrainer: 1 },
    }),
  );
  await useServices(services, stores.databaseUrl);
}

async function useServices(services: Awaited<ReturnType<typeof startCluster>>, databaseUrl: string) {
  await using client = await openDrillClient(
    services.addresses('preprocessor'),
    services.addresses('retrainer'),
  );
  await makeLive(client, 1);
  await makeLive(client, 2);
  for (let index = 0; index < PREDICTIONS; index++) await client.predict(DRILL_MODEL, drillInput(index));
  await using pool = openPool(databaseUrl, {
    ...{ max: 1, queryTimeoutMs: 10_000, application: 'drill', log: silentLog() },
  });
  await until('the log', async () => {
    const { rows } = await pool.query<{ n: number }>('SELECT count(*)::int AS n FROM prediction');
    return (rows[0]?.n ?? 0) >= PREDICTIONS;
  });
}

async function pgbouncerProgram(): Promise<SystemProgram> {
  const at = (root: string, libraries: string): SystemProgram => ({
    command: join(root, 'usr', 'sbin', 'pgbouncer'),
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', LD_LIBRARY_PATH: libraries },
  });
  try {
    const { root, libraries } = await fetchDebianPackages(
      {
        packages: ['pgbouncer'],
        cacheDir: join(CACHE, 'pgbouncer'),
        log: () => undefined,
        works: async (tree, found) => {
          const { command, env } = at(tree, found);
          return /PgBouncer/i.test(execFileSync(command, ['--version'], { env }).toString());
        },
      },
      AbortSignal.timeout(START_MS),
    );
    return at(root, libraries);
  } catch (error) {
    throw new Missing(error instanceof Error ? error.message : String(error));
  }
}

const NOBODY = 65_534;

async function startPgbouncer(
  program: SystemProgram,
  folder: string,
  stores: Stores,
  mode: string,
): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = new URL(stores.databaseUrl);
  const port = await freePort();
  const own = join(folder, 'pgbouncer');
  await mkdir(own, { recursive: true });
  const users = join(own, 'users.txt');
  await writeFile(users, `"${server.username}" "${server.password}"\n`);
  const file = join(own, 'pgbouncer.ini');
  await writeFile(
    file,
    [
      '[databases]',
      `* = host=127.0.0.1 port=${server.port}`,
      '[pgbouncer]',
      `listen_addr = 127.0.0.1`,
      `listen_port = ${port}`,
      'auth_type = plain',
      `auth_file = ${users}`,
      `pool_mode = ${mode}`,
      'max_client_conn = 500',
      `default_pool_size = ${mode === 'session' ? 80 : 20}`,
      'ignore_startup_parameters = extra_float_digits,statement_timeout,idle_in_transaction_session_timeout,lock_timeout',
      'unix_socket_dir =',
    ].join('\n'),
  );
  for (const path of [folder, own]) await chmod(path, 0o755);
  const isRoot = process.getuid?.() === 0;
  const child = spawn(program.command, [file], {
    ...{ env: program.env, stdio: ['ignore', 'ignore', 'ignore'] as const },
    // PgBouncer refuses to run as root.
    ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = new URL(stores.databaseUrl);
  url.port = String(port);
  await using pool = openPool(url.href, {
    ...{ max: 1, queryTimeoutMs: 2_000, application: 'drill', log: silentLog() },
  });
  await until('PgBouncer', async () => (await pool.query('SELECT 1')).rowCount === 1);
  return {
    url: url.href,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Apache Kafka that requires a login; its jars are downloaded with Maven. */
async function kafkaLogin(
  folder: string,
  mechanism: KafkaLogin['mechanism'],
  encrypted: boolean,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const given = { watchdog: stack.use(startWatchdog()), log: () => undefined };
  const login = { user: 'hotloop', password: LOGIN, mechanism };
  const files = encrypted ? await makeTestCertificates(folder) : undefined;
  const kafka = stack.use(
    await startRealKafka(
      {
        ...{ ...given, dir: join(folder, 'kafka'), cacheDir: CACHE, login },
        ...(files ? { tls: files } : {}),
      },
      AbortSignal.timeout(START_MS),
    ),
  );
  // This process trusts the authority as services do by NODE_EXTRA_CA_CERTS, which is read when a process starts.
  if (files) setDefaultCACertificates([...getCACertificates(), await readFile(files.ca, 'utf8')]);
  const scheme = `${encrypted ? 'kafkas' : 'kafka'}+${mechanism.toLowerCase()}`;
  const kafkaBrokers = `${scheme}://${login.user}:${login.password}@${kafka.brokers}`;
  const stores = stack.use(await startStores(join(folder, 'stores')));
  const services = stack.use(
    await startCluster({
      folder,
      stores: { ...addressesOf(stores), kafkaBrokers },
      counts: { preprocessor: 1, compute: 1, postprocessor: 1, retrainer: 1 },
      ...(files ? { environment: { NODE_EXTRA_CA_CERTS: files.ca } } : {}),
    }),
  );
  await useServices(services, stores.databaseUrl);
  await using pool = openPool(stores.databaseUrl, {
    ...{ max: 1, queryTimeoutMs: 10_000, application: 'drill', log: silentLog() },
  });
  await using producer = await openProducer({
    brokers: [kafkaBrokers],
    ...{ clientId: 'drill', log: silentLog(), timeoutMs: 30_000 },
  });
  // An unreadable message becomes a dead letter, which shows that it reached the preprocessor through the broker.
  await until('a message through Kafka', async () => {
    await producer.send('hotloop.events', [{ key: 'a', value: 'not an event' }]);
    return (await pool.query('SELECT 1 FROM set_aside')).rowCount !== 0;
  });
}

function addressesOf({ databaseUrl, redisCacheUrl, redisQueueUrl, kafkaBrokers }: Stores): StoreAddresses {
  return { databaseUrl, redisCacheUrl, redisQueueUrl, kafkaBrokers };
}

async function until(what: string, done: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + BACK_MS;
  let last: unknown;
  while (performance.now() < end) {
    try {
      if (await done()) return;
    } catch (error) {
      last = error;
    }
    await delay(200);
  }
  throw new Error(
    `${what} did not come within ${BACK_MS / 1000} s: ${last instanceof Error ? last.message : ''}`,
  );
}
