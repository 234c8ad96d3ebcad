import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Transform } from 'node:stream';
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
const OTHER_FILES = [
  ['PK\x03\x04', 'it is a ZIP archive or an Excel workbook; save it as CSV (UTF-8), JSONL or Parquet'],
  ['\x1f\x8b', 'it is compressed with gzip; decompress it first'],
  ['<', 'it begins like HTML or XML; save it as CSV (UTF-8), JSONL or Parquet'],
  ['[', 'it begins like a JSON array; write one JSON object a line (JSONL)'],
] as const;
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
  for (const [start, advice] of OTHER_FILES)
    if (head.subarray(0, start.length).toString('latin1') === start) throw refused(advice);
  const nul = head.indexOf(0);
  if (nul >= 0)
    throw refused(`byte ${nul + 1} is NUL: this is not a text file (UTF-16 text must be saved as UTF-8)`);
  const end = head.indexOf('\n');
  if (end < 0 && !isWhole) throw refused(`the first line is longer than ${MOST_LINE_BYTES} bytes`);
  const line = end < 0 ? head : head.subarray(0, end);
  if (!isUtf8(line)) throw notUtf8(1);
  const first = line
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .trim();
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
  const text = utf8Only();
  // A pipe does not hand on errors: without this the parser would wait for ever.
  source.once('error', (error) => parser.destroy(error));
  text.once('error', (error) => parser.destroy(error));
  source.pipe(text).pipe(parser);
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
  const source = createReadStream(path, { highWaterMark: 256 * 1024 });
  const stream = utf8Only().setEncoding('utf8');
  source.once('error', (error) => stream.destroy(error));
  source.pipe(stream);
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

/** Passes text on and fails at the first line that is not UTF-8: decoding would change such text without a word. */
function utf8Only(): Transform {
  let rest: Buffer = Buffer.alloc(0);
  let lines = 0;
  const check = (bytes: Buffer): HotloopError | null => {
    if (isUtf8(bytes)) {
      for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++;
      return null;
    }
    for (let from = 0; ; ) {
      const end = bytes.indexOf(10, from);
      lines++;
      if (end < 0 || !isUtf8(bytes.subarray(from, end))) return notUtf8(lines);
      from = end + 1;
    }
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      // A character may be divided between two chunks, a line end is none.
      const end = bytes.lastIndexOf(10) + 1;
      rest = bytes.subarray(end);
      const whole = bytes.subarray(0, end);
      if (rest.length > MOST_LINE_BYTES)
        done(refused(`line ${lines + 1} is longer than ${MOST_LINE_BYTES} bytes`));
      else done(check(whole), whole);
    },
    flush(done) {
      done(check(rest), rest);
    },
  });
}

function notUtf8(line: number): HotloopError {
  return refused(
    `line ${line} is not UTF-8; save the file as UTF-8 (text of Windows or Latin-1 is not read)`,
  );
}

function parseLine(text: string, line: number): Record<string, Cell> {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\ufeff/, ''), /\d{16}/.test(text) ? exactNumber : undefined);
  } catch (error) {
    throw refused(`line ${line} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refused(`line ${line} is not a JSON object`);
  return cellsOf(value as Record<string, unknown>);
}

/** A whole number that a double cannot hold stays a text, so that an id is not changed. */
function exactNumber(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const { source } = context ?? {};
  return source !== undefined && /^-?\d+$/.test(source) && !Number.isSafeInteger(value) ? source : value;
}

async function* readParquet(path: string): AsyncGenerator<TableRow> {
  await using database = await openDuckDb({ memoryMb: 256 });
  let line = 0;
  try {
    for await (const rows of database.stream(`SELECT * FROM ${parquetSource([path])}`))
      for (const row of rows) yield { line: ++line, cells: cellsOf(row) };
  } catch (error) {
    if (!(error instanceof HotloopError) || error.reason !== 'duckdb') throw error;
    throw refused(`it begins like Parquet, but ${error.message}; it may be incomplete: write it again`);
  }
}

/**
 * Numbers, texts and flags as they are, whole numbers that a double cannot hold as texts, times as RFC 3339, NaN (how pandas writes an
 * empty cell) as empty, anything else as JSON.
 */
function cellsOf(row: Readonly<Record<string, unknown>>): Record<string, Cell> {
  const cells: Record<string, Cell> = Object.create(null);
  for (const [name, value] of Object.entries(row)) {
    if (value === null || value === undefined || Number.isNaN(value)) cells[name] = null;
    else if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number')
      cells[name] = value;
    else if (typeof value === 'bigint')
      cells[name] = Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    else if (value instanceof Date) cells[name] = value.toISOString();
    else
      cells[name] = JSON.stringify(value, (_key, part: unknown) =>
        typeof part === 'bigint' ? String(part) : part,
      );
  }
  return cells;
}

function refused(reason: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `the file cannot be read: ${reason}`, {
    reason: 'unreadable_file',
  });
}
