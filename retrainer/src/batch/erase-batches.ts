import { access, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { columnsOf, nameForgotten, rowsAbout } from '@hotloop/platform/archive/erase-parquet.ts';
import { type DuckDb, openDuckDb, parquetSource, sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import type { Traces } from '@hotloop/platform/ports/erasure.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import { readEndedSinks } from './batch-store.ts';
import { type Format, formatOf, parseLocation } from './location.ts';
import { copyOptions } from './sink.ts';

const MEMORY_MB = 256;
const PART = /^part-\d+\.(parquet|csv|jsonl)$/;

export interface ErasedBatches {
  readonly rows: number;
  /** Results that this machine cannot reach, or that have been moved: somebody must look there. */
  readonly unreachable: readonly string[];
}

/**
 * Writes results of batches again without rows about the entity: files, folders and buckets that runs name as their sinks.
 * Rows are found by a column named as the kind of entity, else by any text that is its id.
 */
export async function eraseBatches(database: Queryable, traces: Traces): Promise<ErasedBatches> {
  await using duckDb = await openDuckDb({ memoryMb: MEMORY_MB });
  await nameForgotten(duckDb, traces.predictions);
  let rows = 0;
  const unreachable: string[] = [];
  for (const sink of await readEndedSinks(database)) {
    try {
      rows += await eraseFromSink(duckDb, sink, traces);
    } catch {
      unreachable.push(sink);
    }
  }
  return { rows, unreachable };
}

async function eraseFromSink(duckDb: DuckDb, sink: string, traces: Traces): Promise<number> {
  const location = parseLocation(sink);
  if (location.kind === 'table' || location.kind === 'query') return 0;
  if (location.kind === 'kafka') throw new RangeError('messages of a topic cannot be erased here');
  if (location.kind === 'file') {
    await access(location.path);
    return eraseFromFile(duckDb, location.path, traces);
  }
  let gone = 0;
  if (location.kind === 'folder') {
    for (const name of await readdir(location.path))
      if (PART.test(name)) gone += await eraseFromFile(duckDb, join(location.path, name), traces);
    return gone;
  }
  using store = openObjectStore(location.url);
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-erase-'));
  try {
    for await (const { key } of store.list('')) {
      if (!PART.test(key)) continue;
      const path = join(folder, key);
      await store.getFile(key, path);
      const erased = await eraseFromFile(duckDb, path, traces);
      if (erased > 0) await store.putFile(key, path);
      gone += erased;
      await rm(path);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return gone;
}

async function eraseFromFile(duckDb: DuckDb, path: string, traces: Traces): Promise<number> {
  const format = formatOf(path);
  if (format === undefined) return 0;
  const source = sourceOf(path, format);
  const condition = rowsAbout(await columnsOf(duckDb, source), traces);
  if (condition === undefined) return 0;
  const [found] = await duckDb.query(`SELECT count(*)::INTEGER AS theirs FROM ${source} WHERE ${condition}`);
  const theirs = Number(found?.theirs ?? 0);
  if (theirs === 0) return 0;
  const rewritten = `${path}.rewritten`;
  try {
    await duckDb.run(
      `COPY (SELECT * FROM ${source} WHERE (${condition}) IS DISTINCT FROM true) TO ${sqlText(rewritten)} (${copyOptions(format)})`,
    );
    await rename(rewritten, path);
  } finally {
    await rm(rewritten, { force: true });
  }
  return theirs;
}

function sourceOf(path: string, format: Format): string {
  switch (format) {
    case 'parquet':
      return parquetSource([path]);
    case 'csv':
      return `read_csv(${sqlText(path)}, header = true, all_varchar = true)`;
    case 'jsonl':
      return `read_json(${sqlText(path)}, format = 'newline_delimited')`;
  }
}
