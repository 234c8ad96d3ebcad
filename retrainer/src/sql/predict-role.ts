import type { SqlConnection, SqlStatement } from '@hotloop/platform/duckdb/sql-database.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { scanSql } from './sql-scan.ts';

/** Functions that read files, or tables by a name that is computed. */
const READERS =
  /^(read_\w+|\w+_scan|scan_\w+|glob|parquet_\w+|sniff_csv|duckdb_\w+|pragma_\w+|sql_auto_complete|query|query_table|seq_scan|getenv|which_secret|json_execute_serialized_sql)$/i;
/** Catalogue functions that clients call when they connect. */
const CATALOGUE = /^(pg_catalog|information_schema)\./i;

/**
 * Throws PERMISSION_DENIED for a text that reads tables or files: a key with only the role predict may call models with the values
 * in its statement.
 */
export function refuseReading(sql: string, connection: SqlConnection): void {
  for (const { kind, text } of scanSql(sql)) {
    const name = kind === 'quoted' ? text.slice(1, -1) : text;
    if ((kind === 'word' || kind === 'quoted') && READERS.test(name)) refuse(name);
  }
  const table = tablesOf(sql, connection).find((name) => !CATALOGUE.test(name));
  if (table !== undefined) refuse(`the table ${table}`);
}

/** Throws PERMISSION_DENIED for anything but a SELECT. */
export function refuseChanging(statement: SqlStatement): void {
  if (!statement.isSelect) refuse('this statement');
}

function refuse(what: string): never {
  throw new HotloopError('PERMISSION_DENIED', `${what} needs a key with the role operate`);
}

/** Empty for text that is not SQL; the error is reported when it is prepared. */
function tablesOf(sql: string, connection: SqlConnection): readonly string[] {
  try {
    return connection.tableNames(sql);
  } catch {
    return [];
  }
}
