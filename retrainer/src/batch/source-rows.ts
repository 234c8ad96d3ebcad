import { sqlName, sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import type { SqlColumn, SqlConnection } from '@hotloop/platform/duckdb/sql-database.ts';
import { UNREADABLE } from './text-source.ts';

/** The columns of Parquet files that are read as one table, without the one that says what cannot be read. */
export async function columnsOf(connection: SqlConnection, files: readonly string[]): Promise<SqlColumn[]> {
  const columns = await allColumnsOf(connection, files);
  return columns.filter(({ name }) => name !== UNREADABLE);
}

async function allColumnsOf(connection: SqlConnection, files: readonly string[]): Promise<SqlColumn[]> {
  const described = await connection.rows(`DESCRIBE SELECT * FROM ${parquet(files)}`);
  return described.map((row) => ({ name: String(row.column_name), type: String(row.column_type) }));
}

/** The files as a table, to be used after FROM. */
export function parquet(files: readonly string[], more = ''): string {
  return `read_parquet([${files.map(sqlText).join(', ')}], union_by_name = true${more})`;
}

/**
 * The rows first <= row < end over all files, in order, with their number as the column "row", and with {@link UNREADABLE}. Row groups outside are not read, and
 * rows stream: nothing is sorted or gathered.
 */
export async function slice(
  connection: SqlConnection,
  files: readonly string[],
  first: number,
  end: number,
): Promise<string> {
  const pieces: string[] = [];
  const isStaged = (await allColumnsOf(connection, files)).some(({ name }) => name === UNREADABLE);
  const reason = isStaged ? '' : `, NULL::VARCHAR AS ${sqlName(UNREADABLE)}`;
  let before = 0;
  for (const file of files) {
    const rows = await rowsOf(connection, file);
    const [low, high] = [Math.max(0, first - before), Math.min(rows, end - before)];
    if (low < high)
      pieces.push(
        `SELECT * EXCLUDE (file_row_number), file_row_number + ${before} AS "row"${reason} FROM ${parquet([file], ', file_row_number = true')}
         WHERE file_row_number >= ${low} AND file_row_number < ${high}`,
      );
    before += rows;
  }
  if (pieces.length === 0) return `(SELECT *, 0::BIGINT AS "row"${reason} FROM ${parquet(files)} LIMIT 0)`;
  return `(${pieces.join(' UNION ALL BY NAME ')})`;
}

async function rowsOf(connection: SqlConnection, file: string): Promise<number> {
  const [row] = await connection.rows(`SELECT num_rows AS n FROM parquet_file_metadata(${sqlText(file)})`);
  return Number(row?.n ?? 0);
}
