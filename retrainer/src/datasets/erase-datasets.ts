import {
  columnsOf,
  nameForgotten,
  rowsAbout,
  withLocalCopy,
} from '@hotloop/platform/archive/erase-parquet.ts';
import { openDuckDb, parquetSource } from '@hotloop/platform/duckdb/duckdb.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import type { Traces } from '@hotloop/platform/ports/erasure.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';

const MEMORY_MB = 256;
const DATASET = /^datasets\/([0-9a-f]+)\.parquet$/;

/**
 * Removes stored datasets with rows of the entity's predictions, and withdraws their descriptions; answers their digests. A dataset
 * is named by its content, so it goes as a whole: the next one is collected without the entity. Imported files hold no ids and
 * are left.
 */
export async function eraseDatasets(
  database: Queryable,
  store: ObjectStore,
  traces: Traces,
): Promise<string[]> {
  await using duckDb = await openDuckDb({ memoryMb: MEMORY_MB });
  await nameForgotten(duckDb, traces.predictions);
  const found: string[] = [];
  for await (const { key } of store.list('datasets/')) {
    const digest = DATASET.exec(key)?.[1];
    if (digest === undefined) continue;
    const isTheirs = await withLocalCopy(duckDb, store, key, async (path) => {
      const source = parquetSource([path]);
      const condition = rowsAbout(await columnsOf(duckDb, source), traces);
      if (condition === undefined) return false;
      const rows = await duckDb.query(`SELECT 1 FROM ${source} WHERE ${condition} LIMIT 1`);
      return rows.length > 0;
    });
    if (isTheirs) found.push(digest);
  }
  for (const digest of found) await store.remove(`datasets/${digest}.parquet`);
  await database.query('UPDATE dataset SET withdrawn_at = now() WHERE sha256 = ANY($1)', [found]);
  return found;
}
