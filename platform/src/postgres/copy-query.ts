import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { HotloopError } from '@hotloop/proto/errors.ts';
import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';

/**
 * DuckDB types for Postgres type numbers that cannot be detected from a CSV file; other types are left to the reader.
 */
const TYPES: Readonly<Record<number, string>> = {
  16: 'BOOLEAN',
  20: 'BIGINT',
  21: 'SMALLINT',
  23: 'INTEGER',
  25: 'VARCHAR',
  114: 'VARCHAR',
  700: 'FLOAT',
  701: 'DOUBLE',
  1042: 'VARCHAR',
  1043: 'VARCHAR',
  1082: 'DATE',
  1114: 'TIMESTAMP',
  1184: 'TIMESTAMPTZ',
  1700: 'DOUBLE',
  2950: 'UUID',
  3802: 'VARCHAR',
};

/**
 * Copies the rows of one SELECT into a CSV file, in a read-only transaction. @returns DuckDB's type of each column
 * where it is known. Throws INVALID_ARGUMENT with Postgres' message about the query, UNAVAILABLE when it cannot be
 * reached; neither contains the address.
 */
export async function copyQueryToCsv(
  url: string,
  query: string,
  path: string,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const client = new pg.Client({ connectionString: url, application_name: 'hotloop-batch' });
  client.on('error', () => undefined);
  await client.connect().catch(() => {
    throw new HotloopError('UNAVAILABLE', 'the database of the source cannot be reached');
  });
  try {
    const select = query.trim().replace(/;\s*$/, '');
    await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const { fields } = await client.query(`SELECT * FROM (${select}) source LIMIT 0`);
    const rows = client.query(copyTo(`COPY (${select}) TO STDOUT (FORMAT csv, HEADER)`));
    await pipeline(rows, createWriteStream(path), { signal });
    await client.query('COMMIT');
    return Object.fromEntries(
      fields.flatMap(({ name, dataTypeID }) => {
        const type = TYPES[dataTypeID];
        return type === undefined ? [] : [[name, type]];
      }),
    );
  } catch (cause) {
    if (signal.aborted) throw new HotloopError('CANCELLED', 'reading the source was cancelled', { cause });
    const message = cause instanceof pg.DatabaseError ? cause.message : 'the connection was lost';
    throw new HotloopError('INVALID_ARGUMENT', `the query of the source failed: ${message}`, {
      reason: 'source_query',
      cause,
    });
  } finally {
    await client.end().catch(() => undefined);
  }
}
