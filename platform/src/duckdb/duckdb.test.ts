import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDuckDb, parquetSource, sqlName, sqlText } from './duckdb.ts';
import { float32Text } from './sql-text.ts';

const COLUMNS = {
  id: 'BIGINT',
  name: 'VARCHAR',
  at: 'TIMESTAMP',
  score: 'DOUBLE',
  vector: 'FLOAT[]',
  body: 'BLOB',
};

describe('the in-memory database', () => {
  it('writes typed rows to Parquet and reads the same back, in batches', async () => {
    await using database = await openDuckDb();
    await database.createTable('rows', COLUMNS);
    const at = new Date('2026-01-02T03:04:05.678Z');
    const rows = Array.from({ length: 5000 }, (_, index) => [
      BigInt(index),
      index % 7 === 0 ? null : `näme ${index}`,
      at,
      index / 3,
      [0.5, index],
      new Uint8Array([1, 2, index % 256]),
    ]);
    expect(await database.append('rows', rows)).toBe(5000);
    const path = join(database.temporaryFolder, "it's.parquet");
    expect(await database.writeParquet('rows', path)).toBe(5000);
    let count = 0;
    for await (const batch of database.stream(`SELECT * FROM ${parquetSource([path])} ORDER BY id`))
      for (const row of batch) {
        const [id, name, time, score, vector, body] = rows[count++] ?? [];
        expect({ ...row, body: new Uint8Array(row.body as Buffer) }).toEqual({
          id,
          name,
          at: time,
          score,
          vector,
          body,
        });
      }
    expect(count).toBe(5000);
  });

  it('takes parameters and quotes names and texts', async () => {
    await using database = await openDuckDb();
    const [row] = await database.query(`SELECT $1 AS ${sqlName('a "b"')}, ${sqlText("it's")} AS c`, ['x']);
    expect(row).toEqual({ 'a "b"': 'x', c: "it's" });
  });

  it('says what is wrong with a statement, and goes on', async () => {
    await using database = await openDuckDb();
    await expect(database.run('SELECT nothing_here')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(database.run("INSTALL httpfs; SELECT * FROM 's3://bucket/x.parquet'")).rejects.toThrow();
    expect(await database.query('SELECT 1::INTEGER AS one')).toEqual([{ one: 1 }]);
    const damaged = join(database.temporaryFolder, 'damaged.parquet');
    await writeFile(damaged, 'PAR1 nothing PAR1');
    const refused: unknown = await database
      .query(`SELECT * FROM ${parquetSource([damaged])}`)
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT' });
    // Neither the statement, nor where the file lies, is for a caller to see.
    expect(String(refused)).not.toMatch(/SELECT|damaged\.parquet/);
  });

  it('ends a statement when its signal fires, and refuses one that needs more than its bounds', async () => {
    await using database = await openDuckDb({ memoryMb: 20, temporaryMb: 1 });
    const stop = new AbortController();
    const running = database.run(
      'SELECT max(hash(a.range) + b.range) FROM range(1000000) a, range(1000000) b',
      [],
      stop.signal,
    );
    setImmediate(() => stop.abort());
    await expect(running).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(
      database.run('CREATE TABLE large AS SELECT md5(range::VARCHAR) AS m FROM range(3000000)'),
    ).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  });

  it('takes its temporary folder along when it is closed', async () => {
    const database = await openDuckDb();
    await database[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
    await expect(access(database.temporaryFolder)).rejects.toThrow('ENOENT');
    await expect(database.run('SELECT 1')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });
});

describe('numbers of 32 bits as text', () => {
  it('are the shortest text that gives the same number', () => {
    expect([0.1, 0.123, 1 / 3, 16777216, -0].map((value) => float32Text(Math.fround(value)))).toEqual([
      '0.1',
      '0.123',
      '0.33333334',
      '16777216',
      '-0',
    ]);
  });
});
