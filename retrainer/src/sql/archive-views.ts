import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import type { SqlDatabase } from '@hotloop/platform/duckdb/sql-database.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';

/** Location of the archive's Parquet files. */
export interface SqlArchive {
  readonly objects: ObjectStore;
  /** The store's folder, if the store is one: its files are then read in place. */
  readonly folder: string | undefined;
}

interface ArchiveView {
  /** Prefix of the keys of its files. */
  readonly prefix: string;
  /** SQL of the view; FILES is replaced by `read_parquet(...)`. */
  readonly select: string;
  /** Names and types of its columns, for an empty table while there are no files. */
  readonly columns: string;
}

const LOGGED =
  'prediction_id UUID, at TIMESTAMP WITH TIME ZONE, model VARCHAR, version INTEGER, variant VARCHAR';

/** Tables of SQL over the archive. */
export const ARCHIVE_VIEWS: Readonly<Record<string, ArchiveView>> = {
  events: {
    prefix: 'events/',
    select: `SELECT key, type, make_timestamp(at_ms * 1000) AS at, arrival_us, entities, fields FROM FILES
      QUALIFY row_number() OVER (PARTITION BY type, key ORDER BY arrival_us) = 1`,
    columns: 'key VARCHAR, type VARCHAR, at TIMESTAMP, arrival_us BIGINT, entities VARCHAR, fields VARCHAR',
  },
  archived_predictions: {
    prefix: 'log/prediction/',
    select: 'SELECT * FROM FILES',
    columns: `${LOGGED}, caller VARCHAR, entities VARCHAR, candidates VARCHAR, "rows" INTEGER, "columns" INTEGER, features BLOB`,
  },
  archived_decisions: {
    prefix: 'log/decision/',
    select: 'SELECT * FROM FILES',
    columns: `${LOGGED}, label VARCHAR, score DOUBLE, shown VARCHAR`,
  },
};

/** The folders of the archive that views read in place. */
export const ARCHIVE_FOLDERS: readonly string[] = ['events', 'log'];

/**
 * Creates a view over all files of its part of the archive: events without duplicates, or days of the log past its retention. Files
 * of a bucket are first copied into `cache`, each once.
 */
export async function refreshArchiveView(
  name: string,
  database: SqlDatabase,
  { objects, folder }: SqlArchive,
  cache: string,
): Promise<void> {
  const view = ARCHIVE_VIEWS[name] as ArchiveView;
  const paths: string[] = [];
  for await (const { key, bytes } of objects.list(view.prefix)) {
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
  const files = `read_parquet([${paths.map(sqlText).join(', ')}], union_by_name = true)`;
  const select = paths.length === 0 ? emptySelect(view) : view.select.replace('FILES', () => files);
  using connection = await database.connect();
  await connection.run(`CREATE OR REPLACE VIEW ${name} AS ${select}`);
}

/** Creates a view without rows, so that a list of tables has it before its files are looked for. */
export async function declareArchiveView(name: string, database: SqlDatabase): Promise<void> {
  using connection = await database.connect();
  await connection.run(
    `CREATE VIEW IF NOT EXISTS ${name} AS ${emptySelect(ARCHIVE_VIEWS[name] as ArchiveView)}`,
  );
}

function emptySelect({ columns }: ArchiveView): string {
  const nulls = columns.split(', ').map((column) => {
    const [, name = '', type = ''] = /^(\S+) (.+)$/.exec(column) ?? [];
    return `NULL::${type} AS ${name}`;
  });
  return `SELECT ${nulls.join(', ')} WHERE false`;
}
