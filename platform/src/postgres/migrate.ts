import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { HotloopError } from '@hotloop/proto/errors.ts';
import pg from 'pg';
import type { Log } from '../log.ts';
import { fromPostgresError, type Queryable } from './pool.ts';

export interface MigrateOptions {
  /** Folder of numbered files such as 0001-loop.sql; default: the project's own. */
  readonly folder?: string;
  readonly log: Log;
  /** How long to wait for Postgres, and for another service that migrates at the same time; default 30 s. */
  readonly timeoutMs?: number;
}

interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

const OWN_FOLDER = fileURLToPath(new URL('./migrations', import.meta.url));
const FILE_NAME = /^\d{4}-[a-z0-9-]+\.sql$/;
/** Key of the advisory lock: 'hotloop' on a telephone keypad. */
const LOCK_KEY = 4_685_667;
const RETRY_MS = 200;
/** Digests of files that were reworded before the first release that has them; what they make is the same for all that reads it. */
const FORMER_DIGESTS: ReadonlyMap<string, string> = new Map([
  ['0013-monitoring.sql', 'd200129fb0d90676ba2b544a3786f0519fc60379f0616cbdf327ebf9043a2470'],
]);

/**
 * Migrates the database to the newest version; safe when several services start at once. Returns the names of the
 * migrations that it applied. Each file runs in its own transaction, so a failed file leaves the earlier ones
 * applied. Throws FAILED_PRECONDITION when an applied file has changed or is missing, UNAVAILABLE when Postgres
 * cannot be reached, INTERNAL when a file's SQL fails.
 */
export async function migrate(url: string, options: MigrateOptions): Promise<readonly string[]> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const migrations = await readMigrations(options.folder ?? OWN_FOLDER);
  const client = await connect(url, timeoutMs);
  try {
    return await applyMissing(client, migrations, options.log, timeoutMs);
  } catch (error) {
    throw error instanceof HotloopError ? error : fromPostgresError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Names of this version's migrations that the database lacks. Rejects with Postgres' error. */
export async function missingMigrations(database: Queryable): Promise<readonly string[]> {
  const { rows } = await database.query<{ name: string }>('SELECT name FROM schema_migration');
  const applied = new Set(rows.map(({ name }) => name));
  return (await readMigrations(OWN_FOLDER)).map(({ name }) => name).filter((name) => !applied.has(name));
}

async function applyMissing(
  client: pg.Client,
  migrations: readonly Migration[],
  log: Log,
  timeoutMs: number,
): Promise<readonly string[]> {
  const applied: string[] = [];
  for (;;) {
    const next = await applyNext(client, migrations, timeoutMs);
    if (next === undefined) return applied;
    log.info({ migration: next }, 'applied a migration');
    applied.push(next);
  }
}

/**
 * Applies the first missing migration in a transaction that overlaps with no other service's. Returns its name, or
 * undefined when none is missing. The lock belongs to the transaction and not to the session, because a pooler may
 * give the session to another client after each transaction.
 */
async function applyNext(
  client: pg.Client,
  migrations: readonly Migration[],
  timeoutMs: number,
): Promise<string | undefined> {
  await client.query('BEGIN');
  try {
    await client.query(`SET LOCAL lock_timeout = ${timeoutMs}`);
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK_KEY]);
    const migration = await firstMissing(client, migrations);
    if (migration) await applyOne(client, migration);
    await client.query('COMMIT');
    return migration?.name;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function firstMissing(
  client: pg.Client,
  migrations: readonly Migration[],
): Promise<Migration | undefined> {
  await client.query(`CREATE TABLE IF NOT EXISTS schema_migration (
    name        text PRIMARY KEY,
    sha256      text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
  )`);
  const { rows } = await client.query<{ name: string; sha256: string }>(
    'SELECT name, sha256 FROM schema_migration ORDER BY name',
  );
  const applied = new Map(rows.map((row) => [row.name, row.sha256]));
  refuseDivergence(migrations, applied);
  return migrations.find((migration) => !applied.has(migration.name));
}

function refuseDivergence(migrations: readonly Migration[], applied: ReadonlyMap<string, string>): void {
  const byName = new Map(migrations.map((migration) => [migration.name, migration]));
  const newest = migrations.at(-1)?.name ?? '';
  for (const [name, sha256] of applied) {
    const migration = byName.get(name);
    // A newer release was here. Its migrations only add tables and columns, so this release still works.
    if (!migration && name > newest) continue;
    if (!migration) throw diverged(`migration ${name} was applied to this database but its file is missing`);
    if (migration.sha256 !== sha256 && FORMER_DIGESTS.get(name) !== sha256)
      throw diverged(`migration ${name} has changed since it was applied; restore it and add a new file`);
  }
  const lastApplied = [...applied.keys()].at(-1) ?? '';
  const late = migrations.find((migration) => migration.name < lastApplied && !applied.has(migration.name));
  if (late)
    throw diverged(
      `migration ${late.name} comes before ones that were already applied; give it a higher number`,
    );
}

function diverged(message: string): HotloopError {
  return new HotloopError('FAILED_PRECONDITION', message, { reason: 'migrations_diverged' });
}

async function applyOne(client: pg.Client, migration: Migration): Promise<void> {
  try {
    await client.query(migration.sql);
    await client.query('INSERT INTO schema_migration (name, sha256) VALUES ($1, $2)', [
      migration.name,
      migration.sha256,
    ]);
  } catch (cause) {
    throw new HotloopError('INTERNAL', `migration ${migration.name} failed; nothing of it was kept`, {
      cause,
    });
  }
}

async function readMigrations(folder: string): Promise<readonly Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  const misnamed = names.find((name) => !FILE_NAME.test(name));
  if (misnamed !== undefined)
    throw new HotloopError('INVALID_ARGUMENT', `${misnamed} is not named like 0001-what-it-does.sql`);
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(join(folder, name), 'utf8');
      return { name, sql, sha256: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

/** Postgres may still be starting, so this retries until the timeout. */
async function connect(url: string, timeoutMs: number): Promise<pg.Client> {
  const endAt = performance.now() + timeoutMs;
  for (;;) {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: 2000,
      query_timeout: timeoutMs,
      application_name: 'hotloop-migrate',
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return client;
    } catch (cause) {
      await client.end().catch(() => undefined);
      const known = fromPostgresError(cause);
      if (known.code !== 'UNAVAILABLE' || performance.now() + RETRY_MS > endAt) throw known;
    }
    await wait(RETRY_MS);
  }
}
