import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import { describe, expect, it } from 'vitest';
import { logArchive } from '../archive/log-archive.ts';
import { openDuckDb, parquetSource } from '../duckdb/duckdb.ts';
import { silentLog } from '../log.ts';
import { directoryObjectStore } from '../object-store/directory-object-store.ts';
import { ensurePartition, partitionDay } from '../postgres/partitions.ts';
import { openPool } from '../postgres/pool.ts';
import { createTestDatabase } from '../testing/test-services.ts';
import { startRetention } from './retention.ts';

const NOW = Date.UTC(2026, 5, 10, 12);

describe('retention', () => {
  it('archives a day before it is dropped, and drops none that could not be archived', async () => {
    await using database = await createTestDatabase();
    await using pool = openPool(database.url, {
      ...{ max: 3, queryTimeoutMs: 20_000, application: 'test', log: silentLog() },
    });
    await using folder = await mkdtempDisposable(join(tmpdir(), 'hotloop-log-'));
    await pool.query(
      `CREATE TABLE thing (id uuid PRIMARY KEY, at timestamptz, score real, bytes bytea, names text[], detail jsonb, word text)
       PARTITION BY RANGE (id)`,
    );
    const client = await pool.connect();
    await ensurePartition(client, 'thing', partitionDay(NOW - 9 * DAY_MS));
    client.release();
    const id = firstPredictionIdAt(NOW - 9 * DAY_MS);
    await pool.query('INSERT INTO thing VALUES ($1, $2, 0.5, $3, $4, $5, NULL)', [
      ...[id, new Date(NOW), Buffer.from([0, 255, 10]), ['a,b', 'c"d']],
      JSON.stringify({ x: [1, null] }),
    ]);
    const store = directoryObjectStore(folder.path);
    const archive = logArchive({ pool, databaseUrl: database.url, store });
    let broken = true;
    let attempts = 0;
    const clock = { now: () => NOW, monotonic: () => 0 };
    const options = {
      ...{ table: 'thing', keepMs: () => DAY_MS, everyMs: 10 },
      archive: async (table: string, name: string) => {
        attempts++;
        if (broken) throw new RangeError('the store is away');
        await archive(table, name);
      },
    };
    await using _retention = startRetention(pool, options, clock, silentLog());
    const count = async () => Number((await pool.query('SELECT count(*) FROM thing')).rows[0].count);
    await expect.poll(() => attempts, { timeout: 20_000 }).toBeGreaterThan(1);
    expect(await count()).toBe(1);
    broken = false;
    await expect.poll(count, { timeout: 20_000 }).toBe(0);
    const file = join(folder.path, 'day.parquet');
    await store.getFile('log/thing/2026-06-01.parquet', file);
    await using duck = await openDuckDb();
    const [row] = await duck.query(`SELECT *, hex(bytes) AS hex FROM ${parquetSource([file])}`);
    expect(row).toMatchObject({ score: 0.5, hex: '00FF0A', word: null });
    expect(String(row?.id)).toBe(id);
    expect(JSON.parse(String(row?.names))).toEqual(['a,b', 'c"d']);
    expect(JSON.parse(String(row?.detail))).toEqual({ x: [1, null] });
  });

  it('drops whole days that are past the retention, and no others', async () => {
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
