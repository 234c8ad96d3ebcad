import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { readBatchOutput } from '../batch/batch-store.ts';
import { parseLocation } from '../batch/location.ts';
import { literalOf, scanSql } from './sql-scan.ts';

export interface BatchOutputs {
  readonly database: Queryable;
  /** The folder that statements may read; results outside are refused. */
  readonly files: string | undefined;
  /** Where objects of a bucket are copied to. */
  readonly cache: string;
}

/**
 * Replaces each `batch_output('NAME')` by the files of a batch's result: the run with that id, or the newest of that schedule. Throws
 * NOT_FOUND, or FAILED_PRECONDITION if the result is not a file that SQL may read.
 */
export async function withBatchOutputs(sql: string, outputs: BatchOutputs): Promise<string> {
  const tokens = scanSql(sql);
  let text = sql;
  for (let index = tokens.length - 4; index >= 0; index--) {
    const [name, open, given, close] = tokens.slice(index, index + 4);
    if (name?.kind !== 'word' || name.text.toLowerCase() !== 'batch_output') continue;
    if (open?.text !== '(' || given?.kind !== 'text' || close?.text !== ')') continue;
    const table = await tableOf(literalOf(given), outputs);
    text = `${text.slice(0, name.start)}${table}${text.slice(close.end)}`;
  }
  return text;
}

async function tableOf(name: string, { database, files, cache }: BatchOutputs): Promise<string> {
  const found = await readBatchOutput(database, name);
  if (found === null)
    throw new HotloopError('NOT_FOUND', `no batch that is done has the id or the schedule ${name}`);
  const sink = parseLocation(found.sink);
  switch (sink.kind) {
    case 'file':
      if (!isBelow(sink.path, files)) throw outside(name);
      return sink.format === 'parquet'
        ? `read_parquet(${sqlText(sink.path)})`
        : sink.format === 'csv'
          ? `read_csv(${sqlText(sink.path)}, header = true)`
          : `read_json(${sqlText(sink.path)}, format = 'newline_delimited')`;
    case 'folder': {
      if (!isBelow(sink.path, files)) throw outside(name);
      const parts = (await readdir(sink.path)).filter((file) => /^part-\d+\.parquet$/.test(file)).sort();
      return parquetFiles(parts.map((part) => join(sink.path, part)));
    }
    case 's3':
      return parquetFiles(await copied(sink.url, join(cache, 'batches', found.runId)));
    default:
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `the result of ${name} is a topic or a table of another database; read it there`,
        { reason: 'no_files' },
      );
  }
}

/** The parts of a result in a bucket, copied once because they never change. */
async function copied(url: string, folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  using store = openObjectStore(url);
  const paths: string[] = [];
  for await (const { key } of store.list('')) {
    if (!/^part-\d+\.parquet$/.test(key)) continue;
    const path = join(folder, key);
    if ((await stat(path).catch(() => undefined)) === undefined) await store.getFile(key, path);
    paths.push(path);
  }
  return paths.sort();
}

const parquetFiles = (paths: readonly string[]) => `read_parquet([${paths.map(sqlText).join(', ')}])`;

const isBelow = (path: string, folder: string | undefined) =>
  folder !== undefined && join(path).startsWith(`${join(folder)}/`);

function outside(name: string): HotloopError {
  return new HotloopError(
    'FAILED_PRECONDITION',
    `the result of ${name} is not in the folder that SQL may read (HOTLOOP_SQL_FILES)`,
    { reason: 'no_files' },
  );
}
