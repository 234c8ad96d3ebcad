import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { openDuckDb, sqlName, sqlText } from '../duckdb/duckdb.ts';
import type { ObjectStore } from '../object-store/object-store.ts';
import { copyQueryToCsv } from '../postgres/copy-query.ts';
import type { Pool } from '../postgres/pool.ts';

/**
 * Archives one day of a partitioned log before it is dropped. Rejects when the copy is incomplete; then the day is
 * not dropped.
 */
export type ArchivePartition = (table: string, partition: string) => Promise<void>;

export interface LogArchiveDependencies {
  readonly pool: Pool;
  readonly databaseUrl: string;
  readonly store: Pick<ObjectStore, 'putFile'>;
}

const LIMIT_MS = 1_800_000;

/** Object key of a day of a log. `partition` ends in the day, such as prediction_20260115. */
export function logArchiveKey(table: string, partition: string): string {
  const day = partition.slice(-8);
  return `log/${table}/${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}.parquet`;
}

/**
 * Writes days of the log as Parquet, `log/TABLE/DAY.parquet`, with the table's columns: bytes as bytes, lists and
 * objects as JSON. Archiving the same day again replaces its file.
 */
export function logArchive({ pool, databaseUrl, store }: LogArchiveDependencies): ArchivePartition {
  return async (table, partition) => {
    const folder = await mkdtemp(join(tmpdir(), 'hotloop-log-'));
    try {
      const columns = await columnsOf(pool, partition);
      const csv = join(folder, 'day.csv');
      const select = columns
        .map(
          ({ name, type }) =>
            `${type === 'json' ? `to_jsonb(${quoted(name)})` : quoted(name)} AS ${quoted(name)}`,
        )
        .join(', ');
      const query = `SELECT ${select} FROM ${quoted(partition)}`;
      const types = await copyQueryToCsv(databaseUrl, query, csv, AbortSignal.timeout(LIMIT_MS));
      const known = columns
        .map(({ name }) => `${sqlText(name)}: ${sqlText(types[name] ?? 'VARCHAR')}`)
        .join(', ');
      const source = `read_csv(${sqlText(csv)}, header = true, nullstr = '', columns = {${known}})`;
      const values = columns.map(({ name, type }) =>
        type === 'bytes' ? `unhex(substr(${sqlName(name)}, 3)) AS ${sqlName(name)}` : sqlName(name),
      );
      await using database = await openDuckDb({ memoryMb: 256 });
      const parquet = join(folder, 'day.parquet');
      const written = await database.writeParquet(`SELECT ${values.join(', ')} FROM ${source}`, parquet);
      const { rows } = await pool.query<{ count: string }>(`SELECT count(*) FROM ${quoted(partition)}`);
      if (Number(rows[0]?.count) !== written)
        throw new HotloopError(
          'DATA_LOSS',
          `only ${written} of ${rows[0]?.count} rows of ${partition} were archived`,
        );
      await store.putFile(logArchiveKey(table, partition), parquet);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}

async function columnsOf(pool: Pool, table: string) {
  const { rows } = await pool.query<{ name: string; type: string }>(
    `SELECT attname AS name, CASE WHEN atttypid = 'bytea'::regtype THEN 'bytes'
            WHEN atttypid IN ('json'::regtype, 'jsonb'::regtype) OR typcategory = 'A' THEN 'json' ELSE 'plain' END AS type
     FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
     WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [table],
  );
  return rows;
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
