import { finished } from 'node:stream/promises';
import type { PoolClient } from 'pg';
import { from } from 'pg-copy-streams';
import { COPY_HEADER, COPY_TRAILER } from './copy-row.ts';

/**
 * Streams rows in binary format into a table or staging table and then runs another statement, if given: both or
 * nothing, when no transaction is open. The rows are not copied, so leave their memory unchanged until it has
 * resolved. Rejects with Postgres' own error; the connection is usable afterwards. After any other error, such as a
 * query timeout, close the connection at once.
 */
export async function copyInto(
  client: PoolClient,
  table: string,
  columns: readonly string[],
  rows: Uint8Array,
  statement = '',
): Promise<void> {
  const names = columns.map((column) => `"${column}"`).join(', ');
  const copy = `COPY "${table}" (${names}) FROM STDIN (FORMAT binary)`;
  const stream = client.query(from(`${copy}; ${statement}`));
  const done = finished(stream);
  // Otherwise the rest would be written to a connection that the library has released.
  stream.once('error', () => stream.destroy());
  stream.write(COPY_HEADER);
  if (rows.length > 0) stream.write(rows);
  stream.end(COPY_TRAILER);
  await done;
}
