import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { openDuckDb, parquetSource } from '@hotloop/platform/duckdb/duckdb.ts';
import { readLines } from '@hotloop/platform/http/read-lines.ts';
import { parseStrictJson } from '@hotloop/platform/http/strict-json.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import { parse } from 'csv-parse';

const MAX_LINE_BYTES = 1024 * 1024;

/** A row of a file, or why it cannot be parsed. */
export interface FileRow {
  /** Line in the file, counted from 1; for Parquet the row number. */
  readonly line: number;
  readonly values?: Readonly<Record<string, unknown>>;
  readonly problem?: string;
}

export const TABLE_TYPES = ['text/csv', 'application/x-ndjson', 'application/vnd.apache.parquet'] as const;
export type TableType = (typeof TABLE_TYPES)[number];

/**
 * Reads rows one after the other, with a bounded part of the file in memory. An invalid row (wrong number of values,
 * not JSON) is returned with its problem. Throws INVALID_ARGUMENT for a file that cannot be read at all: required
 * columns are missing (for example because of a wrong delimiter), or it has another type.
 */
export function readRows(
  file: Readable,
  type: TableType,
  needed: readonly string[],
): AsyncGenerator<FileRow> {
  switch (type) {
    case 'text/csv':
      return readCsv(file, needed);
    case 'application/x-ndjson':
      return readJsonLines(file);
    case 'application/vnd.apache.parquet':
      return readParquet(file, needed);
  }
}

/** RFC 4180 with a header; accepts a byte order mark, LF and CRLF. */
async function* readCsv(file: Readable, needed: readonly string[]): AsyncGenerator<FileRow> {
  const parser = file.pipe(
    parse({
      bom: true,
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
      max_record_size: MAX_LINE_BYTES,
    }),
  );
  file.once('error', (error) => parser.destroy(error));
  let header: string[] | undefined;
  try {
    for await (const { record, info } of parser as AsyncIterable<{
      record: string[];
      info: { lines: number };
    }>) {
      if (!header) {
        header = record;
        requireColumns(header, needed);
        continue;
      }
      if (record.length === header.length)
        yield { line: info.lines, values: Object.fromEntries(header.map((name, at) => [name, record[at]])) };
      else yield { line: info.lines, problem: `has ${record.length} values, the header ${header.length}` };
    }
  } catch (error) {
    if (error instanceof HotloopError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw invalid(`the file is not CSV: ${message.slice(0, 200)}`, error);
  }
  if (!header) throw invalid('the file is empty');
}

async function* readJsonLines(file: Readable): AsyncGenerator<FileRow> {
  for await (const { number, bytes } of readLines(file, MAX_LINE_BYTES)) {
    if (bytes === undefined) {
      yield { line: number, problem: `has more than ${MAX_LINE_BYTES} bytes` };
      continue;
    }
    try {
      const values = parseStrictJson(bytes);
      if (typeof values === 'object' && values !== null && !Array.isArray(values))
        yield { line: number, values: values as Record<string, unknown> };
      else yield { line: number, problem: 'is not an object' };
    } catch (error) {
      yield { line: number, problem: toHotloopError(error).message };
    }
  }
}

async function* readParquet(file: Readable, needed: readonly string[]): AsyncGenerator<FileRow> {
  await using database = await openDuckDb({ memoryMb: 256 });
  const path = join(database.temporaryFolder, 'upload.parquet');
  await pipeline(file, createWriteStream(path));
  const columns = await database
    .query(`DESCRIBE SELECT * FROM ${parquetSource([path])}`)
    .catch((error: unknown) => {
      throw invalid('the file is not Parquet', error);
    });
  requireColumns(
    columns.map(({ column_name }) => String(column_name)),
    needed,
  );
  let line = 0;
  for await (const rows of database.stream(`SELECT * FROM ${parquetSource([path])}`))
    for (const values of rows) yield { line: ++line, values };
}

function requireColumns(header: readonly string[], needed: readonly string[]): void {
  const missing = needed.filter((name) => !header.includes(name));
  if (missing.length === 0) return;
  const found = header.map((name) => JSON.stringify(name.slice(0, 60))).slice(0, 20);
  const hint = header.length === 1 && needed.length > 1 ? '; is the delimiter a comma?' : '';
  throw invalid(`the file lacks ${missing.join(', ')}; it has ${found.join(', ')}${hint}`);
}

function invalid(message: string, cause?: unknown): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', message, { reason: 'invalid_table', cause });
}
