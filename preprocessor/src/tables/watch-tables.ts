import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '@hotloop/platform/log.ts';
import type { ObjectStore, StoredObject } from '@hotloop/platform/object-store/object-store.ts';
import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import { uploadFile } from './table-intake.ts';
import type { TableStore } from './table-store.ts';

export interface WatchDependencies {
  readonly pool: Pool;
  readonly tables: TableStore;
  /** Where files are found: a folder, or a prefix of a bucket. */
  readonly files: Pick<ObjectStore, 'list' | 'getFile'>;
  readonly log: Log;
}

const TYPES: Readonly<Record<string, string>> = {
  csv: 'text/csv',
  jsonl: 'application/x-ndjson',
  parquet: 'application/vnd.apache.parquet',
};
const EVERY_MS = 10_000;
/** Time after which other nodes take over the file of a node that died while processing it. */
const GIVE_UP_MINUTES = 15;

/**
 * Uploads files named TABLE.csv, TABLE.jsonl or TABLE.parquet as new versions of their tables when they change; of
 * several nodes, any one does so, once. A rejected file is not tried again until it changes. Disposal stops it after
 * the current file.
 */
export function watchTables(dependencies: WatchDependencies, everyMs = EVERY_MS): AsyncDisposable {
  const { log } = dependencies;
  let working: Promise<void> | undefined;
  let stopped = false;
  const look = () => {
    working ??= takeChanged(dependencies, () => stopped)
      .catch((error: unknown) => log.warn({ error }, 'files of reference tables cannot be listed now'))
      .finally(() => {
        working = undefined;
      });
  };
  look();
  const timer = setInterval(look, everyMs);
  timer.unref();
  return {
    async [Symbol.asyncDispose]() {
      stopped = true;
      clearInterval(timer);
      await working;
    },
  };
}

async function takeChanged(dependencies: WatchDependencies, isStopped: () => boolean): Promise<void> {
  const { tables, files, pool, log } = dependencies;
  const known = new Set((await tables.list()).map(({ name }) => name));
  for await (const object of files.list('')) {
    if (isStopped()) return;
    const [, table = '', ending = ''] =
      /^([A-Za-z_][A-Za-z0-9_]{0,62})\.(csv|jsonl|parquet)$/.exec(object.key) ?? [];
    if (!known.has(table) || !(await claim(pool, object))) continue;
    try {
      const uploaded = await takeFile(object.key, table, TYPES[ending] ?? '', dependencies);
      await settle(pool, object.key, 'taken', '');
      log.info(
        { table, file: object.key, ...uploaded },
        'a reference table was uploaded from a watched file',
      );
    } catch (error) {
      const { code, message } = toHotloopError(error);
      const isItsFault = code === 'INVALID_ARGUMENT';
      if (isItsFault) await settle(pool, object.key, 'refused', message);
      else await forget(pool, object.key);
      log.warn({ error, table, file: object.key }, 'a watched file of a reference table was rejected');
    }
  }
}

async function takeFile(
  key: string,
  table: string,
  type: string,
  { tables, files }: WatchDependencies,
): Promise<{ version: number; rows: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-table-'));
  try {
    const path = join(folder, 'file');
    await files.getFile(key, path);
    const file = createReadStream(path);
    const { version, rows } = await uploadFile(tables, { table, type, maxRefused: 0, file });
    return { version, rows };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** True for the one node that should process the object in its current state. */
async function claim(pool: Pool, { key, bytes, modifiedMs }: StoredObject): Promise<boolean> {
  const { rowCount } = await query(
    pool,
    `INSERT INTO reference_file AS known (key, bytes, modified_ms) VALUES ($1, $2, $3)
     ON CONFLICT (key) DO UPDATE SET bytes = $2, modified_ms = $3, state = 'working', problem = '', since = now()
     WHERE (known.bytes, known.modified_ms) IS DISTINCT FROM ($2::bigint, $3::bigint)
        OR (known.state = 'working' AND known.since < now() - make_interval(mins => ${GIVE_UP_MINUTES}))`,
    [key, bytes, Math.round(modifiedMs)],
  );
  return rowCount === 1;
}

async function settle(pool: Pool, key: string, state: 'taken' | 'refused', problem: string): Promise<void> {
  await query(pool, 'UPDATE reference_file SET state = $2, problem = $3, since = now() WHERE key = $1', [
    ...[key, state, problem.slice(0, 2000)],
  ]);
}

async function forget(pool: Pool, key: string): Promise<void> {
  await query(pool, 'DELETE FROM reference_file WHERE key = $1', [key]);
}

async function query(pool: Pool, sql: string, values: readonly unknown[]) {
  return await pool.query(sql, [...values]).catch((error: unknown): never => {
    throw error instanceof HotloopError ? error : fromPostgresError(error);
  });
}
