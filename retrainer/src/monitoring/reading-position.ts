import type { PoolClient } from '@hotloop/platform/postgres/pool.ts';

/** Columns with transaction numbers, by table. In another database these are meaningless: restored rows get the number of the restore. */
export const TRANSACTION_COLUMNS: ReadonlyMap<string, readonly string[]> = new Map([
  ['prediction', ['ingested']],
]);

/** Marks all rows in the log, including those of this transaction, as read: the monitor continues with later rows. */
export async function readFromHere(client: PoolClient): Promise<void> {
  await client.query('UPDATE monitor_position SET ingested = pg_current_xact_id()::text::bigint');
}
