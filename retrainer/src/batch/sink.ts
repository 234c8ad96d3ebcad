import { copyFile, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { sqlName, sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import type { SqlConnection } from '@hotloop/platform/duckdb/sql-database.ts';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import { copyIntoTable, type TableSink, tableHasRows } from '@hotloop/platform/postgres/copy-into-table.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { BatchRun } from './batch-run.ts';
import { checkTopic, sendRows } from './kafka-rows.ts';
import { type Format, type Location, parseLocation } from './location.ts';
import type { DatabaseAddresses, OutsideAddresses } from './read-source.ts';

/** Where the parts of a run are written before the result is complete. */
export function partsFolder(run: BatchRun, work: string): string {
  const location = sinkOf(run);
  if (location.kind === 'file')
    return join(dirname(location.path), `.${basename(location.path)}-${run.runId}`);
  if (location.kind === 'folder') return join(location.path, `.parts-${run.runId}`);
  return join(work, 'parts');
}

export function sinkFormat(run: BatchRun): Format {
  const location = sinkOf(run);
  return location.kind === 'file' ? location.format : 'parquet';
}

export function partName(part: number, format: Format): string {
  return `part-${String(part).padStart(5, '0')}.${format}`;
}

/** How a query's rows are written to one file, the same bytes for the same rows. */
export function copyOptions(format: Format): string {
  switch (format) {
    case 'parquet':
      // Not zstd, which takes as long as a small network does.
      return 'FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 100000';
    case 'csv':
      return 'FORMAT csv, HEADER';
    case 'jsonl':
      return 'FORMAT json';
  }
}

/** Throws ALREADY_EXISTS when something is there and the run may not replace it, INVALID_ARGUMENT for what is no sink. */
export async function checkSink(run: BatchRun, { databases, kafka }: OutsideAddresses): Promise<void> {
  const location = sinkOf(run);
  if (location.kind === 'kafka') return checkTopic(kafka, location, run.options.append ?? false);
  if (location.kind === 'table') {
    const table = tableOf(location, databases);
    if ((await tableHasRows(table)) && !run.options.overwrite && !run.options.append)
      throw exists(run.sink, '--overwrite to replace it, or --append to add to it');
    return;
  }
  if (run.options.overwrite) return;
  if (location.kind === 's3') {
    using store = openObjectStore(location.url);
    for await (const _ of store.list('')) throw exists(run.sink);
    return;
  }
  const found = await stat(location.path).catch(() => undefined);
  if (found === undefined) return;
  if (location.kind === 'folder' && found.isDirectory()) {
    const names = await readdir(location.path);
    if (names.every((name) => name.startsWith('.parts-'))) return;
  }
  throw exists(run.sink);
}

export interface Published {
  readonly work: string;
  readonly connection: SqlConnection;
  readonly report: object;
  /** The file that says which rows were refused and why. */
  readonly refused: string | undefined;
  readonly outside: OutsideAddresses;
  /** A worker before this one has begun to publish. */
  readonly isRepeated: boolean;
  readonly signal: AbortSignal;
}

/** Puts the parts in their place. Doing it again after a crash in between ends in the same result. */
export async function publish(
  run: BatchRun,
  parts: readonly string[],
  { work, connection, report, refused, outside, isRepeated, signal }: Published,
): Promise<void> {
  const location = sinkOf(run);
  const folder = partsFolder(run, work);
  if (location.kind === 'kafka') {
    const files = parts.map((name) => join(folder, name));
    return sendRows(outside.kafka, location, { runId: run.runId, files, connection, isRepeated }, signal);
  }
  if (location.kind === 'table') {
    const files = `[${parts.map((name) => sqlText(join(folder, name))).join(', ')}]`;
    const select = `SELECT *, ${sqlText(run.runId)} AS run_id FROM read_parquet(${files})`;
    const path = join(work, 'rows-of-table.csv');
    const described = await connection.rows(`DESCRIBE ${select}`);
    await connection.run(`COPY (${asTexts(select, described)}) TO ${sqlText(path)} (FORMAT csv, HEADER)`);
    const columns = described.map((row) => ({
      name: String(row.column_name),
      type: postgresType(String(row.column_name), String(row.column_type)),
    }));
    const existing = run.options.overwrite ? 'replace' : run.options.append ? 'append' : 'refuse';
    await copyIntoTable(
      tableOf(location, outside.databases),
      { path, columns, runId: run.runId, existing },
      signal,
    );
    return;
  }
  const text = `${JSON.stringify(report, null, 2)}\n`;
  if (location.kind === 's3') {
    using store = openObjectStore(location.url);
    for (const name of parts) await store.putFile(name, join(folder, name));
    if (refused !== undefined) await store.putFile('_refused.jsonl', refused);
    await store.put('_result.json', Buffer.from(text));
    return;
  }
  if (location.kind === 'folder') {
    if (run.options.overwrite)
      for (const name of await readdir(location.path))
        if (/^(part-\d+\.\w+|_result\.json|_refused\.jsonl)$/.test(name) && !parts.includes(name))
          await rm(join(location.path, name));
    for (const name of parts)
      await rename(join(folder, name), join(location.path, name)).catch(async (error: unknown) => {
        // Moved by an earlier attempt.
        if ((await stat(join(location.path, name)).catch(() => undefined)) === undefined) throw error;
      });
    if (refused !== undefined) await copyFile(refused, join(location.path, '_refused.jsonl'));
    await writeFile(join(location.path, '_result.json'), text);
    await rm(folder, { recursive: true, force: true });
    return;
  }
  const whole = join(folder, `whole.${location.format}`);
  const list = `[${parts.map((name) => sqlText(join(folder, name))).join(', ')}]`;
  const reader =
    location.format === 'parquet'
      ? `read_parquet(${list})`
      : location.format === 'csv'
        ? `read_csv(${list}, header = true, all_varchar = true)`
        : `read_json(${list}, format = 'newline_delimited')`;
  await connection.run(
    `COPY (SELECT * FROM ${reader}) TO ${sqlText(whole)} (${copyOptions(location.format)})`,
  );
  await rename(whole, location.path);
  if (refused !== undefined) await copyFile(refused, `${location.path}.refused.jsonl`);
  await writeFile(`${location.path}.result.json`, text);
  await rm(folder, { recursive: true, force: true });
}

export async function makePartsFolder(run: BatchRun, work: string): Promise<string> {
  const folder = partsFolder(run, work);
  await mkdir(folder, { recursive: true });
  return folder;
}

/** Removes what a run has left that ended without a result. */
export async function discardParts(run: BatchRun, work: string): Promise<void> {
  for (const folder of [partsFolder(run, work), work]) await rm(folder, { recursive: true, force: true });
}

/** Lists and structs travel as JSON. */
function asTexts(select: string, described: readonly Record<string, unknown>[]): string {
  const columns = described.map(({ column_name, column_type }) => {
    const name = sqlName(String(column_name));
    return /[[(]/.test(String(column_type)) && !/^DECIMAL/.test(String(column_type))
      ? `CAST(to_json(${name}) AS VARCHAR) AS ${name}`
      : name;
  });
  return `SELECT ${columns.join(', ')} FROM (${select})`;
}

/** By DuckDB's type; what Postgres has no like of is kept as text. */
const POSTGRES_TYPES: Readonly<Record<string, string>> = {
  BOOLEAN: 'boolean',
  TINYINT: 'smallint',
  SMALLINT: 'smallint',
  INTEGER: 'integer',
  BIGINT: 'bigint',
  FLOAT: 'real',
  DOUBLE: 'double precision',
  DATE: 'date',
  TIMESTAMP: 'timestamp',
  'TIMESTAMP WITH TIME ZONE': 'timestamptz',
  UUID: 'uuid',
};

function postgresType(name: string, type: string): string {
  if (name === 'run_id' || name === 'prediction_id') return 'uuid';
  if (/^DECIMAL/.test(type)) return 'numeric';
  return /[[(]/.test(type) ? 'jsonb' : (POSTGRES_TYPES[type] ?? 'text');
}

function tableOf(
  { variable, table }: Extract<Location, { kind: 'table' }>,
  databases: DatabaseAddresses,
): TableSink {
  const url = databases(variable);
  if (url !== undefined) return { url, table };
  throw new HotloopError('INVALID_ARGUMENT', `the worker has no variable ${variable}`, {
    reason: 'bad_location',
  });
}

function sinkOf(run: BatchRun): Exclude<Location, { kind: 'query' }> {
  const location = parseLocation(run.sink);
  if (location.kind === 'query')
    throw new HotloopError(
      'INVALID_ARGUMENT',
      'a sink is a file, a folder, s3://BUCKET/PREFIX, kafka:TOPIC or postgres:VARIABLE/TABLE',
      { reason: 'bad_location' },
    );
  return location;
}

/** Throws INVALID_ARGUMENT for a text that is no sink. */
export function checkSinkText(sink: string): void {
  sinkOf({ sink } as BatchRun);
}

function exists(sink: string, remedy = '--overwrite to replace it'): HotloopError {
  return new HotloopError('ALREADY_EXISTS', `${sink} is there already; say ${remedy}`, {
    reason: 'sink_exists',
  });
}
