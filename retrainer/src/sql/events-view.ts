import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import type { SqlDatabase } from '@hotloop/platform/duckdb/sql-database.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';

/** Where the archive's Parquet files are. */
export interface SqlArchive {
  readonly objects: ObjectStore;
  /** The store's own folder, where it is one: its files are then read in place. */
  readonly folder: string | undefined;
}

const NONE = `SELECT NULL::VARCHAR AS key, NULL::VARCHAR AS type, NULL::TIMESTAMP AS at, NULL::BIGINT AS arrival_us, NULL::VARCHAR AS entities,
  NULL::VARCHAR AS fields WHERE false`;

/**
 * Makes the view `events` over all archived events: key, type, at, arrival_us, entities and fields (JSON), each event once. Files of a
 * bucket are copied into `cache` first, each once.
 */
export async function refreshEvents(
  database: SqlDatabase,
  { objects, folder }: SqlArchive,
  cache: string,
): Promise<void> {
  const paths: string[] = [];
  for await (const { key, bytes } of objects.list('events/')) {
    if (!key.endsWith('.parquet')) continue;
    if (folder !== undefined) {
      paths.push(join(folder, key));
      continue;
    }
    const path = join(cache, `${bytes}-${key.replaceAll('/', '~')}`);
    if ((await stat(path).catch(() => undefined)) === undefined) {
      await mkdir(cache, { recursive: true });
      await objects.getFile(key, path);
    }
    paths.push(path);
  }
  const select =
    paths.length === 0
      ? NONE
      : `SELECT key, type, make_timestamp(at_ms * 1000) AS at, arrival_us, entities, fields
         FROM read_parquet([${paths.map(sqlText).join(', ')}], union_by_name = true)
         QUALIFY row_number() OVER (PARTITION BY type, key ORDER BY arrival_us) = 1`;
  using connection = await database.connect();
  await connection.run(`CREATE OR REPLACE VIEW events AS ${select}`);
}
