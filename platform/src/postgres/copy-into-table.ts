import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { HotloopError } from '@hotloop/proto/errors.ts';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { quotedName } from './quoted-name.ts';

export interface TableSink {
  /** Never repeated in an error, because it may contain a password. */
  readonly url: string;
  /** `scores` or `public.scores`. */
  readonly table: string;
}

export interface TableRows {
  /** CSV with a header. */
  readonly path: string;
  /** Columns of the file, with Postgres types for the case that the table is created. One of them is `run_id`. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** If rows of this run are already in the table, after a crash, they are not added again. */
  readonly runId: string;
  readonly existing: 'refuse' | 'append' | 'replace';
}

/** True when the table has rows. Throws UNAVAILABLE when the database cannot be reached. */
export async function tableHasRows({ url, table }: TableSink): Promise<boolean> {
  return connected(url, async (client) => {
    if (!(await exists(client, table))) return false;
    const { rows } = await client.query(`SELECT 1 FROM ${quotedName(table)} LIMIT 1`);
    return rows.length > 0;
  });
}

/**
 * Adds the rows of one run to a table in one transaction; creates the table if it does not exist. Repeating the call
 * changes nothing. Throws ALREADY_EXISTS for a table with rows that may not be changed, INVALID_ARGUMENT with
 * Postgres' message.
 */
export async function copyIntoTable(
  { url, table }: TableSink,
  { path, columns, runId, existing }: TableRows,
  signal: AbortSignal,
): Promise<void> {
  await connected(url, async (client) => {
    const names = columns.map(({ name }) => quotedName(name)).join(', ');
    await client.query('BEGIN');
    if (await exists(client, table)) {
      await client.query(`LOCK TABLE ${quotedName(table)} IN SHARE ROW EXCLUSIVE MODE`);
      const { rows } = await client.query<{ ours: boolean }>(
        `SELECT run_id::text = $1 AS ours FROM ${quotedName(table)} ORDER BY run_id::text = $1 DESC LIMIT 1`,
        [runId],
      );
      if (rows[0]?.ours) return;
      if (rows.length > 0 && existing === 'refuse')
        throw new HotloopError('ALREADY_EXISTS', `the table ${table} already has rows`, {
          reason: 'sink_exists',
        });
      if (existing === 'replace') await client.query(`TRUNCATE ${quotedName(table)}`);
    } else {
      const list = columns.map(({ name, type }) => `${quotedName(name)} ${type}`).join(', ');
      await client.query(`CREATE TABLE ${quotedName(table)} (${list})`);
    }
    const sink = client.query(
      copyFrom(`COPY ${quotedName(table)} (${names}) FROM STDIN (FORMAT csv, HEADER)`),
    );
    await pipeline(createReadStream(path), sink, { signal });
    await client.query('COMMIT');
  });
}

async function exists(client: pg.Client, table: string): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>('SELECT to_regclass($1) IS NOT NULL AS found', [
    quotedName(table),
  ]);
  return rows[0]?.found === true;
}

async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'hotloop-batch' });
  client.on('error', () => undefined);
  try {
    await client.connect().catch(() => {
      throw new HotloopError('UNAVAILABLE', 'the database of the sink cannot be reached');
    });
    return await work(client);
  } catch (cause) {
    if (cause instanceof HotloopError) throw cause;
    if (cause instanceof pg.DatabaseError)
      throw new HotloopError('INVALID_ARGUMENT', `the table of the sink rejects the rows: ${cause.message}`, {
        reason: 'sink_table',
        cause,
      });
    throw new HotloopError('UNAVAILABLE', 'the connection to the database of the sink was lost', { cause });
  } finally {
    await client.end().catch(() => undefined);
  }
}
