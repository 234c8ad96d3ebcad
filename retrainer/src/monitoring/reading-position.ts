import type { PoolClient } from '@hotloop/platform/postgres/pool.ts';

/** Numbers of transactions mean nothing in another database: there, restored rows get that of the restore. Columns by table. */
export const TRANSACTION_COLUMNS: ReadonlyMap<string, readonly string[]> = new Map([
  ['prediction', ['ingested']],
]);

/** Takes all that the log holds, or gets in this transaction, as read: the monitor goes on with what comes next. */
export async function readFromHere(client: PoolClient): Promise<void> {
  await client.query('UPDATE monitor_position SET ingested = pg_current_xact_id()::text::bigint');
}
