import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLog } from '@hotloop/platform/log.ts';
import { migrate } from '@hotloop/platform/postgres/migrate.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import type { TestServiceAddresses } from '@hotloop/platform/testing/test-services.ts';
import { startBackingServices } from './backing-services.ts';
import { isFolderClaimed } from './folder-claim.ts';

/** Enough for every test file of a run to use several. */
const REDIS_DATABASES = 2_000;
const LONG_DEAD_MS = 60_000;

export interface TestServices extends AsyncDisposable {
  readonly addresses: TestServiceAddresses;
}

/** Losing test data in a power failure does not matter, but waiting for the disk would slow down every test. */
const POSTGRES_SETTINGS = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '300',
};

/**
 * Starts one set of embedded services for a whole test run, in its own folder under `stateDir`: any number of runs
 * can run concurrently. Disposing stops them and removes the folder; folders of killed runs are removed at the next
 * start.
 */
export async function startTestServices(
  options: { readonly stateDir: string; readonly log: (line: string) => void },
  signal: AbortSignal,
): Promise<TestServices> {
  const runs = join(options.stateDir, 'test-runs');
  await mkdir(runs, { recursive: true });
  await removeDeadRuns(runs);
  const dir = join(runs, randomUUID());
  const services = await startBackingServices(
    {
      dir,
      cacheDir: join(options.stateDir, 'cache'),
      addresses: {},
      postgresSettings: POSTGRES_SETTINGS,
      redisDatabases: REDIS_DATABASES,
      log: options.log,
    },
    signal,
  );
  const { databaseUrl, redisCacheUrl, redisQueueUrl, kafkaBrokers } = services;
  return {
    addresses: {
      databaseUrl,
      migratedDatabase: await createMigratedDatabase(databaseUrl),
      redisCacheUrl,
      redisQueueUrl,
      kafkaBrokers,
      redisDatabases: REDIS_DATABASES,
    },
    async [Symbol.asyncDispose]() {
      try {
        await services[Symbol.asyncDispose]();
      } finally {
        await rm(dir, { recursive: true, force: true, maxRetries: 3 });
      }
    },
  };
}

/** Creates the database that tests copy instead of migrating one; returns its name. */
async function createMigratedDatabase(databaseUrl: string): Promise<string> {
  const name = 'hotloop_migrated';
  const log = silentLog();
  const pool = openPool(databaseUrl, { max: 1, queryTimeoutMs: 30_000, application: 'test-services', log });
  try {
    await pool.query(`CREATE DATABASE ${name}`);
  } finally {
    await pool.end();
  }
  const url = new URL(databaseUrl);
  url.pathname = `/${name}`;
  await migrate(url.href, { log });
  return name;
}

/** Removes what killed runs left in `runs`. */
export async function removeDeadRuns(runs: string): Promise<void> {
  for (const name of await readdir(runs)) {
    const dir = join(runs, name);
    const { mtimeMs } = await stat(dir).catch(() => ({ mtimeMs: Date.now() }));
    // A young folder may belong to a run that is about to claim it.
    if (Date.now() - mtimeMs < LONG_DEAD_MS || (await isFolderClaimed(dir))) continue;
    await rm(dir, { recursive: true, force: true }).catch(() => undefined);
  }
}
