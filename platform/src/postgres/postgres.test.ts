import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../log.ts';
import { createTestDatabase } from '../testing/test-services.ts';
import { migrate } from './migrate.ts';
import { fromPostgresError, openPool, transaction } from './pool.ts';

const log = silentLog();
const poolOptions = { max: 4, queryTimeoutMs: 20_000, application: 'test', log } as const;

async function migrationFolder(files: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-migrations-'));
  for (const [name, sql] of Object.entries(files)) await writeFile(join(folder, name), sql);
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

describe('migrate', () => {
  it('applies each file once when four services start at the same time', async () => {
    await using database = await createTestDatabase();
    const applied = await Promise.all(Array.from({ length: 4 }, () => migrate(database.url, { log })));
    expect(applied.flat()).toContain('0001-loop.sql');
    expect(new Set(applied.flat()).size).toBe(applied.flat().length);
    expect(await migrate(database.url, { log })).toEqual([]);
  });

  it('fails when an applied file has changed, is missing, or a new one comes before it', async () => {
    await using database = await createTestDatabase();
    await using first = await migrationFolder({
      '0001-a.sql': 'CREATE TABLE a (x int)',
      '0003-c.sql': 'CREATE TABLE c (x int)',
    });
    await migrate(database.url, { log, folder: first.folder });
    await using changed = await migrationFolder({
      '0001-a.sql': 'CREATE TABLE a (y int)',
      '0003-c.sql': 'CREATE TABLE c (x int)',
    });
    await expect(migrate(database.url, { log, folder: changed.folder })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('0001-a.sql has changed'),
    });
    await using gone = await migrationFolder({ '0003-c.sql': 'CREATE TABLE c (x int)' });
    await expect(migrate(database.url, { log, folder: gone.folder })).rejects.toThrow(
      /0001-a.sql .* missing/,
    );
    await writeFile(join(first.folder, '0002-b.sql'), 'CREATE TABLE b (x int)');
    await expect(migrate(database.url, { log, folder: first.folder })).rejects.toThrow(
      /0002-b.sql comes before/,
    );
  });

  it('runs on the tables of a newer release, so that a rollback is possible', async () => {
    await using database = await createTestDatabase();
    await using newer = await migrationFolder({
      '0001-a.sql': 'CREATE TABLE a (x int)',
      '0002-b.sql': 'CREATE TABLE b (x int)',
    });
    await migrate(database.url, { log, folder: newer.folder });
    await using older = await migrationFolder({ '0001-a.sql': 'CREATE TABLE a (x int)' });
    expect(await migrate(database.url, { log, folder: older.folder })).toEqual([]);
  });

  it('keeps nothing of a file that fails, and all files before it', async () => {
    await using database = await createTestDatabase();
    await using files = await migrationFolder({
      '0001-a.sql': 'CREATE TABLE a (x int)',
      '0002-b.sql': 'CREATE TABLE b (x int); SELECT no_such_function()',
    });
    await expect(migrate(database.url, { log, folder: files.folder })).rejects.toThrow(/0002-b.sql failed/);
    await using pool = openPool(database.url, poolOptions);
    const { rows } = await pool.query(
      "SELECT to_regclass('a') IS NOT NULL AS a, to_regclass('b') IS NOT NULL AS b",
    );
    expect(rows).toEqual([{ a: true, b: false }]);
  });

  it('reports that Postgres cannot be reached', async () => {
    await expect(migrate('postgres://u:secret@127.0.0.1:1/x', { log, timeoutMs: 300 })).rejects.toMatchObject(
      { code: 'UNAVAILABLE', message: expect.not.stringContaining('secret') },
    );
  });
});

describe('a pool', () => {
  it('ends a query by its timeout when the server is frozen', async () => {
    const frozen = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((resolve) => frozen.once('listening', resolve));
    const { port } = frozen.address() as { port: number };
    try {
      await using pool = openPool(`postgres://u@127.0.0.1:${port}/x`, {
        ...poolOptions,
        connectTimeoutMs: 200,
      });
      const began = performance.now();
      const failure = await pool.query('SELECT 1').catch(fromPostgresError);
      expect(failure).toMatchObject({ code: 'UNAVAILABLE' });
      expect(performance.now() - began).toBeLessThan(10_000);
    } finally {
      frozen.close();
    }
  });

  it('survives the death of its idle connections', async () => {
    await using database = await createTestDatabase();
    await using pool = openPool(database.url, poolOptions);
    await using killer = openPool(database.url, { ...poolOptions, application: 'killer' });
    await pool.query('SELECT 1');
    await killer.query(
      // The server is shared, and other tests' connections have this name too.
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test' AND datname = current_database()",
    );
    await expect
      .poll(() =>
        pool.query('SELECT 2 AS two').then(
          ({ rows }) => rows[0].two,
          () => 0,
        ),
      )
      .toBe(2);
  });

  it('survives the death of a connection that is borrowed and idle', async () => {
    await using database = await createTestDatabase();
    await using pool = openPool(database.url, poolOptions);
    const failure = transaction(pool, async (client) => {
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      const lost = new Promise((resolve) => client.once('end', () => resolve(undefined)));
      await pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
      await lost;
      await client.query('SELECT 1');
    });
    await expect(failure).rejects.toThrow();
    await expect(pool.query('SELECT 2 AS answer')).resolves.toMatchObject({ rows: [{ answer: 2 }] });
  });

  it('cuts off a slow query', async () => {
    await using database = await createTestDatabase();
    await using pool = openPool(database.url, { ...poolOptions, queryTimeoutMs: 100 });
    await expect(pool.query('SELECT pg_sleep(5)')).rejects.toThrow(/timeout/);
  });
});

describe('the error of a query', () => {
  it.each([
    ['a connection that ended', new Error('Connection terminated unexpectedly'), 'UNAVAILABLE'],
    ['a server that is full', Object.assign(new Error('full'), { code: '53300' }), 'UNAVAILABLE'],
    ['a rejected row', Object.assign(new Error('no'), { code: '23505' }), 'INTERNAL'],
    ['a programming error', new TypeError('x is undefined'), 'INTERNAL'],
    ['a number out of range', new RangeError('too far'), 'INTERNAL'],
  ])('of %s says whether a retry makes sense', (_, error, code) => {
    expect(fromPostgresError(error)).toMatchObject({ code, cause: error });
  });
});

describe('a transaction', () => {
  it('is rolled back when its function throws, and committed when it resolves', async () => {
    await using database = await createTestDatabase();
    await using pool = openPool(database.url, poolOptions);
    await pool.query('CREATE TABLE t (x int)');
    await expect(
      transaction(pool, async (client) => {
        await client.query('INSERT INTO t VALUES (1)');
        throw new Error('changed my mind');
      }),
    ).rejects.toThrow('changed my mind');
    await transaction(pool, (client) => client.query('INSERT INTO t VALUES (2)'));
    expect((await pool.query('SELECT x FROM t')).rows).toEqual([{ x: 2 }]);
    expect(pool.totalCount).toBe(pool.idleCount);
  });

  it.each([
    [true, 2],
    [false, 1],
  ])(
    'with retrySerialization %s runs %i times on a serialization failure',
    async (retrySerialization, runs) => {
      await using database = await createTestDatabase();
      await using pool = openPool(database.url, poolOptions);
      await pool.query('CREATE TABLE t (x int)');
      await pool.query('INSERT INTO t VALUES (0)');
      let count = 0;
      const increment = transaction(
        pool,
        async (client) => {
          const { rows } = await client.query<{ x: number }>('SELECT x FROM t');
          // Another transaction commits in between, the first time.
          if (++count === 1) await pool.query('UPDATE t SET x = x + 10');
          await client.query('UPDATE t SET x = $1', [(rows[0]?.x ?? 0) + 1]);
        },
        { retrySerialization, isolation: 'repeatable read' },
      );
      if (retrySerialization) await increment;
      else await expect(increment).rejects.toMatchObject({ code: '40001' });
      expect(count).toBe(runs);
      expect((await pool.query('SELECT x FROM t')).rows).toEqual([{ x: retrySerialization ? 11 : 10 }]);
    },
  );
});
