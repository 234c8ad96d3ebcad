import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { type DuckDb, sqlName, sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Column, Table } from './check-tables.ts';

/** More rows than this are sampled, evenly and reproducibly. */
const MAX_ROWS = 500_000;
const MAX_COLUMNS = 500;

const SOURCES: Readonly<Record<string, (path: string) => string>> = {
  '.csv': (path) => `read_csv(${sqlText(path)}, header = true, skip = 0, sample_size = -1)`,
  '.tsv': (path) => `read_csv(${sqlText(path)}, header = true, skip = 0, delim = '\\t', sample_size = -1)`,
  '.jsonl': (path) => `read_json(${sqlText(path)}, format = 'newline_delimited')`,
  '.ndjson': (path) => `read_json(${sqlText(path)}, format = 'newline_delimited')`,
  '.parquet': (path) => `read_parquet(${sqlText(path)})`,
};

const NUMBER = /^(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT|U\w+INT|FLOAT|DOUBLE|DECIMAL.*)$/;

/**
 * Reads a CSV, JSONL or Parquet file into columns. Times and nested values are skipped; booleans become texts. Throws
 * NOT_FOUND, and INVALID_ARGUMENT for a file that cannot be read or has no rows.
 */
export async function readTable(database: DuckDb, path: string): Promise<Table> {
  const source = SOURCES[extname(path).toLowerCase()]?.(path);
  if (source === undefined)
    throw new HotloopError('INVALID_ARGUMENT', `${path}: a table ends in ${Object.keys(SOURCES).join(', ')}`);
  const { size } = await stat(path).catch(() => {
    throw new HotloopError('NOT_FOUND', `there is no file ${path}`);
  });
  if (size === 0) throw new HotloopError('INVALID_ARGUMENT', `${path} is empty`);
  let table: Table;
  try {
    table = await read(database, source);
  } catch (error) {
    if (!(error instanceof HotloopError)) throw error;
    // The rest of DuckDB's message is about settings that this command does not have.
    const why = error.message.split('\n').slice(0, 2).join(' ');
    throw new HotloopError(error.code, `${path} cannot be read: ${why}`, { cause: error });
  }
  if (table.rows === 0) throw new HotloopError('INVALID_ARGUMENT', `${path} has no rows`);
  return table;
}

async function read(database: DuckDb, source: string): Promise<Table> {
  const described = await database.query(`DESCRIBE SELECT * FROM ${source}`);
  const wanted = described
    .map((row) => ({ name: String(row.column_name), type: String(row.column_type) }))
    .filter(({ type }) => NUMBER.test(type) || type === 'VARCHAR' || type === 'BOOLEAN')
    .slice(0, MAX_COLUMNS);
  const [first] = described;
  if (described.length === 1 && /^[^"']+[,;\t|]/.test(String(first!.column_name)))
    throw new HotloopError(
      'INVALID_ARGUMENT',
      'its lines do not all have as many cells as its header, or are divided by something else than , ; | or tabs',
    );
  if (wanted.length === 0) throw new HotloopError('INVALID_ARGUMENT', 'it has no column of numbers or texts');
  const select = wanted
    .map(
      ({ name, type }) => `${sqlName(name)}::${NUMBER.test(type) ? 'DOUBLE' : 'VARCHAR'} AS ${sqlName(name)}`,
    )
    .join(', ');
  const numbers = new Map<string, number[]>();
  const texts = new Map<string, (string | null)[]>();
  for (const { name, type } of wanted)
    if (NUMBER.test(type)) numbers.set(name, []);
    else texts.set(name, []);
  let rows = 0;
  const sample = `SELECT ${select} FROM ${source} USING SAMPLE reservoir(${MAX_ROWS} ROWS) REPEATABLE (14)`;
  for await (const batch of database.stream(sample)) {
    rows += batch.length;
    for (const row of batch) {
      for (const [name, values] of numbers)
        values.push(typeof row[name] === 'number' ? row[name] : Number.NaN);
      for (const [name, values] of texts) values.push(typeof row[name] === 'string' ? row[name] : null);
    }
  }
  const columns = new Map<string, Column>();
  for (const { name } of wanted) {
    const values = numbers.get(name);
    columns.set(
      name,
      values
        ? { kind: 'number', values: Float64Array.from(values) }
        : { kind: 'text', values: texts.get(name)! },
    );
  }
  return { rows, columns };
}
