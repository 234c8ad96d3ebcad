import { finished } from 'node:stream/promises';
import type { PoolClient } from 'pg';
import { from } from 'pg-copy-streams';
import { COPY_HEADER, COPY_TRAILER } from './copy-row.ts';

/**
 * Streams rows in the binary format, in pieces of any length, into a table or staging table, and runs another statement behind them when one is given:
 * both, or nothing, when no transaction is open. The rows are not copied: leave the memory alone until it has resolved. Rejects
 * with Postgres' own error.
 */
export async function copyInto(
  client: PoolClient,
  table: string,
  columns: readonly string[],
  rows: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  statement = '',
): Promise<void> {
  const names = columns.map((column) => `"${column}"`).join(', ');
  const copy = `COPY "${table}" (${names}) FROM STDIN (FORMAT binary)`;
  const stream = client.query(from(`${copy}; ${statement}`));
  let isOver = false;
  const done = finished(stream).finally(() => {
    isOver = true;
  });
  // Told by `await done`, but perhaps only after the piece that is waited for.
  done.catch(() => undefined);
  stream.write(COPY_HEADER);
  for await (const piece of rows) {
    if (isOver) break;
    stream.write(piece);
  }
  if (!isOver) stream.end(COPY_TRAILER);
  await done;
}
