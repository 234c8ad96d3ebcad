import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { openDuckDb, parquetSource } from '@hotloop/platform/duckdb/duckdb.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { CsvError, parse } from 'csv-parse';

export type Cell = string | number | boolean | null;

/** One row of a file: its line (or number, for Parquet) and its cells by the names of the columns. */
export interface TableRow {
  readonly line: number;
  readonly cells: Readonly<Record<string, Cell>>;
}

export type TableFormat = 'csv' | 'jsonl' | 'parquet';

/** Looked at before anything else of a file is read. */
const HEAD_BYTES = 1024 * 1024;
const MOST_LINE_BYTES = 1024 * 1024;
const MOST_COLUMNS = 5_000;
const OTHER_DELIMITERS = [
  [';', 'semicolons'],
  ['\t', 'tabs'],
  ['|', 'bars'],
] as const;

/**
 * Looks at the beginning of a file: what format it has, and whether it can be read at all. Throws INVALID_ARGUMENT with the
 * reason for an empty file, NULs, a line or header without end, a wrong delimiter, too many columns, text that is not UTF-8.
 */
export async function checkTable(path: string): Promise<TableFormat> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return checkHead(buffer.subarray(0, bytesRead), bytesRead < HEAD_BYTES);
  } finally {
    await file.close();
  }
}

/** @param isWhole whether the file ends with these bytes. */
export function checkHead(head: Buffer, isWhole: boolean): TableFormat {
  if (head.length === 0) throw refused('the file is empty');
  if (head.subarray(0, 4).toString('latin1') === 'PAR1') return 'parquet';
  const nul = head.indexOf(0);
  if (nul >= 0)
    throw refused(`byte ${nul + 1} is NUL: this is not a text file (UTF-16 text must be saved as UTF-8)`);
  const end = head.indexOf('\n');
  if (end < 0 && !isWhole) throw refused(`the first line is longer than ${MOST_LINE_BYTES} bytes`);
  let first: string;
  try {
    const line = end < 0 ? head : head.subarray(0, end);
    first = new TextDecoder('utf-8', { fatal: true }).decode(line).trim();
  } catch (cause) {
    throw new HotloopError('INVALID_ARGUMENT', 'the file cannot be read: line 1 is not UTF-8', {
      reason: 'unreadable_file',
      cause,
    });
  }
  if (first.startsWith('{')) return 'jsonl';
  const columns = first.split(',').length;
  if (columns > MOST_COLUMNS)
    throw refused(`line 1 has ${columns} columns; at most ${MOST_COLUMNS} are read`);
  for (const [delimiter, name] of OTHER_DELIMITERS)
    if (columns === 1 && first.includes(delimiter))
      throw refused(`columns must be divided by commas; line 1 has ${name}`);
  return 'csv';
}

/**
 * Reads a file row by row in bounded memory. CSV has a header, commas and quotes as in RFC 4180; a BOM and CRLF are fine, a
 * quoted field may hold line breaks. JSONL has one object a line. Parquet is read with DuckDB. Throws INVALID_ARGUMENT with the line.
 */
export async function* readTable(path: string): AsyncGenerator<TableRow> {
  const format = await checkTable(path);
  if (format === 'csv') yield* readCsv(path);
  else if (format === 'jsonl') yield* readJsonLines(path);
  else yield* readParquet(path);
}

async function* readCsv(path: string): AsyncGenerator<TableRow> {
  const parser = parse({ bom: true, info: true, skip_empty_lines: true, max_record_size: MOST_LINE_BYTES });
  const source = createReadStream(path);
  // A pipe does not hand on errors: without this the parser would wait for ever.
  source.once('error', (error) => parser.destroy(error));
  source.pipe(parser);
  let header: string[] | null = null;
  try {
    for await (const { record, info } of parser as AsyncIterable<{
      record: string[];
      info: { lines: number };
    }>) {
      if (header === null) {
        header = record.map((name) => name.trim());
        const repeated = header.find((name, index) => header!.indexOf(name) !== index);
        if (repeated !== undefined) throw refused(`the column ${JSON.stringify(repeated)} is there twice`);
        continue;
      }
      const cells: Record<string, Cell> = Object.create(null);
      for (const [index, name] of header.entries()) {
        const text = record[index] ?? '';
        if (text.includes('\0')) throw refused(`line ${info.lines} holds a NUL`);
        cells[name] = text === '' ? null : text;
      }
      yield { line: info.lines, cells };
    }
  } catch (error) {
    if (error instanceof CsvError) throw refused(error.message);
    throw error;
  } finally {
    source.destroy();
  }
}

async function* readJsonLines(path: string): AsyncGenerator<TableRow> {
  let rest = '';
  let line = 0;
  const stream = createReadStream(path, { encoding: 'utf8', highWaterMark: 256 * 1024 });
  for await (const chunk of stream as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MOST_LINE_BYTES)
      throw refused(`line ${line + lines.length + 1} is longer than ${MOST_LINE_BYTES} bytes`);
    for (const text of lines) {
      line++;
      if (text.trim() !== '') yield { line, cells: parseLine(text, line) };
    }
  }
  if (rest.trim() !== '') yield { line: line + 1, cells: parseLine(rest, line + 1) };
}

function parseLine(text: string, line: number): Record<string, Cell> {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\ufeff/, ''));
  } catch (error) {
    throw refused(`line ${line} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refused(`line ${line} is not a JSON object`);
  return cellsOf(value as Record<string, unknown>);
}

async function* readParquet(path: string): AsyncGenerator<TableRow> {
  await using database = await openDuckDb({ memoryMb: 256 });
  let line = 0;
  for await (const rows of database.stream(`SELECT * FROM ${parquetSource([path])}`))
    for (const row of rows) yield { line: ++line, cells: cellsOf(row) };
}

/** Numbers, texts and flags as they are; times as RFC 3339; anything else as JSON. */
function cellsOf(row: Readonly<Record<string, unknown>>): Record<string, Cell> {
  const cells: Record<string, Cell> = Object.create(null);
  for (const [name, value] of Object.entries(row)) {
    if (value === null || value === undefined) cells[name] = null;
    else if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number')
      cells[name] = value;
    else if (typeof value === 'bigint') cells[name] = Number(value);
    else if (value instanceof Date) cells[name] = value.toISOString();
    else cells[name] = JSON.stringify(value);
  }
  return cells;
}

function refused(reason: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `the file cannot be read: ${reason}`, {
    reason: 'unreadable_file',
  });
}
