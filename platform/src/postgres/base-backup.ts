import pg from 'pg';
import { fromPostgresError } from './pool.ts';

const STOP_MS = 300_000;

/**
 * Runs `copy` while the server lets its files be copied; then resolves with the text of `backup_label`, which belongs into the copy. At the end it
 * waits until all of the write-ahead log that the copy needs is archived. Needs a superuser. Throws UNAVAILABLE when Postgres is
 * away, and what `copy` throws.
 */
export async function duringBaseBackup(databaseUrl: string, copy: () => Promise<void>): Promise<string> {
  const client = new pg.Client({
    ...{ connectionString: databaseUrl, application_name: 'hotloop-base', query_timeout: STOP_MS },
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    // The backup belongs to the session: it must stay open.
    await client.query(`SELECT pg_backup_start('hotloop', true)`);
    await copy();
    const { rows } = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(true)');
    return rows[0]?.labelfile ?? '';
  } catch (error) {
    throw error instanceof pg.DatabaseError ? fromPostgresError(error) : error;
  } finally {
    await client.end().catch(() => undefined);
  }
}
