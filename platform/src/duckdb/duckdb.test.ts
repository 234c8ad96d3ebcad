import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDuckDb, parquetSource, sqlName, sqlText } from './duckdb.ts';
import { type DistinctTexts, plainColumn } from './read-column.ts';
import { openSqlDatabase } from './sql-database.ts';
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

  it('accepts parameters and quotes names and texts', async () => {
    await using database = await openDuckDb();
    const [row] = await database.query(`SELECT $1 AS ${sqlName('a "b"')}, ${sqlText("it's")} AS c`, ['x']);
    expect(row).toEqual({ 'a "b"': 'x', c: "it's" });
  });

  it('reports what is wrong with a statement, and continues', async () => {
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
    // A caller must see neither the statement nor the path of the file.
    expect(String(refused)).not.toMatch(/SELECT|damaged\.parquet/);
  });

  it('interrupts a statement when its signal fires, and fails one that exceeds its limits', async () => {
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

  it('removes its temporary folder when it is closed', async () => {
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

describe('a function over columns', () => {
  it('receives each distinct text once, flags and numbers with their NULLs, and returns NULL for NaN', async () => {
    await using database = await openSqlDatabase({ memoryMb: 64, threads: 1, files: false });
    let [calls, distinct] = [0, 0];
    await database.register({
      name: 'told',
      parameters: ['distinct-texts', 'bool', 'int8', 'float64'],
      returns: 'string',
      once: true,
      run([first, ...others], rows) {
        const { texts, rows: at } = first as DistinctTexts;
        calls += rows;
        distinct = Math.max(distinct, texts.length);
        const [flags, small, numbers] = others.map(plainColumn);
        return Array.from(
          { length: rows },
          (_, row) => `${texts[at[row]!]}|${flags![row]}|${small![row]}|${numbers![row]}`,
        );
      },
    });
    await database.register({
      ...{ name: 'half', parameters: ['float64'], returns: 'float64', nanIsNull: true },
      run: ([column], rows) =>
        Float64Array.from({ length: rows }, (_, row) => Number(plainColumn(column)[row]) / 2),
    });
    using connection = await database.connect();
    const values = `SELECT n, CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN 'short' WHEN 2 THEN 'a text that is longer than twelve bytes' ELSE '' END AS t,
      CASE WHEN n % 3 = 0 THEN NULL ELSE n % 3 = 1 END AS f, CASE WHEN n % 5 = 0 THEN NULL ELSE n % 5 END::TINYINT AS i,
      CASE WHEN n % 7 = 0 THEN NULL ELSE n / 2 END AS x FROM range(5000) r(n)`;
    const rows = await connection.rows(
      `SELECT * FROM (SELECT *, told(t, f, i, x) AS told, half(x) AS h FROM (${values})) WHERE told <> 'never' ORDER BY n`,
    );
    expect(calls).toBe(5000);
    expect(distinct).toBeLessThan(2048);
    for (const { n, t, f, i, x, told, h } of rows) {
      expect(told, String(n)).toBe(`${t}|${f === null ? -128 : Number(f)}|${i ?? -128}|${x ?? Number.NaN}`);
      expect(h).toBe(x === null ? null : Number(x) / 2);
    }
  });
});
