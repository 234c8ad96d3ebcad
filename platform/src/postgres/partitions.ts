import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import type { PoolClient } from 'pg';

/** The UTC day, counted from 1970, of a time. A UUIDv7 starts with its time: 6 bytes of milliseconds since 1970. */
export function partitionDay(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

export function partitionName(table: string, day: number): string {
  return `${table}_${new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

/**
 * Creates the partition of a day if it does not exist. Safe for concurrent callers: an advisory lock per table orders
 * them. The new table is attached and not created as a partition, because attaching blocks no reader or writer.
 */
export async function ensurePartition(client: PoolClient, table: string, day: number): Promise<void> {
  const name = partitionName(table, day);
  const from = firstPredictionIdAt(day * DAY_MS);
  const to = firstPredictionIdAt((day + 1) * DAY_MS);
  await client.query('BEGIN');
  try {
    await client.query("SET LOCAL lock_timeout = '5s'");
    await client.query("SELECT pg_advisory_xact_lock(hashtext('hotloop partition ' || $1))", [table]);
    const attached = await client.query(
      'SELECT 1 FROM pg_inherits WHERE inhparent = to_regclass($1) AND inhrelid = to_regclass($2)',
      [table, name],
    );
    if (attached.rowCount === 0) {
      await client.query(
        `CREATE TABLE "${name}" (LIKE "${table}" INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)`,
      );
      await client.query(
        `ALTER TABLE "${table}" ATTACH PARTITION "${name}" FOR VALUES FROM ('${from}') TO ('${to}')`,
      );
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/**
 * Drops the partitions of all days before a given one. Safe for concurrent callers. Waits at most two seconds for
 * readers of a partition; one that is still being read is left for the next time. `beforeDrop` archives a day; when
 * it rejects, that day and later ones stay. Returns the dropped days.
 */
export async function dropPartitionsBefore(
  client: PoolClient,
  table: string,
  day: number,
  beforeDrop?: (partition: string) => Promise<void>,
): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    'SELECT relname AS name FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = to_regclass($1)',
    [table],
  );
  const first = partitionName(table, day);
  const old = rows.map((row) => row.name).filter((name) => name.startsWith(`${table}_`) && name < first);
  const dropped: string[] = [];
  for (const name of old.sort()) {
    await beforeDrop?.(name);
    await client.query('BEGIN');
    try {
      await client.query("SET LOCAL lock_timeout = '2s'");
      await client.query(`DROP TABLE IF EXISTS "${name}"`);
      await client.query('COMMIT');
      dropped.push(name);
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      if (!isLockTimeout(error)) throw error;
    }
  }
  return dropped;
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '55P03';
}
