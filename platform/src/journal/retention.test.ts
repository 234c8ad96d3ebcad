import { describe, expect, it } from 'vitest';
import { silentLog } from '../log.ts';
import { ensurePartition, partitionDay } from '../postgres/partitions.ts';
import { openPool } from '../postgres/pool.ts';
import { createTestDatabase } from '../testing/test-services.ts';
import { startRetention } from './retention.ts';

const NOW = Date.UTC(2026, 5, 10, 12);
const DAY_MS = 86_400_000;

describe('retention', () => {
  it('drops whole days that are past it, and no other', async () => {
    await using database = await createTestDatabase();
    await using pool = openPool(database.url, {
      max: 2,
      queryTimeoutMs: 5_000,
      application: 'test',
      log: silentLog(),
    });
    await pool.query(
      'CREATE TABLE thing (id uuid PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE thing_other (id int)',
    );
    const client = await pool.connect();
    for (const age of [0, 1, 2, 3, 9])
      await ensurePartition(client, 'thing', partitionDay(NOW - age * DAY_MS));
    client.release();
    const days = async () =>
      (
        await pool.query(
          "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'thing'::regclass ORDER BY 1",
        )
      ).rows.map((row) => row.name);
    let keepMs: number | undefined;
    const clock = { now: () => NOW, monotonic: () => 0 };
    await using _retention = startRetention(
      pool,
      { table: 'thing', keepMs: () => keepMs, everyMs: 10 },
      clock,
      silentLog(),
    );
    expect(await days()).toHaveLength(5);
    keepMs = 2 * DAY_MS;
    await expect.poll(days).toEqual(['thing_20260608', 'thing_20260609', 'thing_20260610']);
  });
});
