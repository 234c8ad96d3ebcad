import { describe, expect, it } from 'vitest';
import { silentLog } from '../log.ts';
import { createTestDatabase } from '../testing/test-services.ts';
import { copyInto } from './copy-into.ts';
import { CopyRow } from './copy-row.ts';
import { openPool } from './pool.ts';

const ROWS = 3000;
const TEXT = 'x'.repeat(1000);

/** Rows of (int4 number, text), 3 MB in all: many pieces. */
function encoded(bytesOfNumber: (row: number) => number): Buffer {
  const rows = Array.from({ length: ROWS }, (_, number) => {
    const head = Buffer.alloc(2 + 4 + bytesOfNumber(number));
    head.writeInt16BE(2, 0);
    head.writeInt32BE(bytesOfNumber(number), 2);
    head.writeInt32BE(number, 6);
    const row = new CopyRow();
    row.text(TEXT);
    return Buffer.concat([head, row.bytes()]);
  });
  return Buffer.concat(rows);
}

async function openDatabase(schema: string) {
  await using opened = new AsyncDisposableStack();
  const { url } = opened.use(await createTestDatabase());
  const options = { max: 1, queryTimeoutMs: 10_000, application: 'test', log: silentLog() };
  const pool = opened.use(openPool(url, options));
  await pool.query(schema);
  const stack = opened.move();
  return { pool, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('copying into a table', () => {
  it('puts every row there once, however many pieces they take', async () => {
    await using database = await openDatabase('CREATE TABLE thing (number int4, text text)');
    const { pool } = database;
    const client = await pool.connect();
    try {
      await copyInto(
        client,
        'thing',
        ['number', 'text'],
        encoded(() => 4),
      );
      await copyInto(client, 'thing', ['number', 'text'], Buffer.of());
      const { rows } = await client.query(
        `SELECT count(*)::int AS count, count(DISTINCT number)::int AS different, min(length(text)) AS shortest FROM thing`,
      );
      expect(rows).toEqual([{ count: ROWS, different: ROWS, shortest: TEXT.length }]);
    } finally {
      client.release();
    }
  });

  it.each([0, ROWS / 2, ROWS - 1])(
    'rejects with the error of Postgres, keeps nothing and leaves the connection of use when row %d is refused',
    async (bad) => {
      await using database = await openDatabase('CREATE TABLE thing (number int4, text text)');
      const { pool } = database;
      const client = await pool.connect();
      try {
        const rows = encoded((number) => (number === bad ? 5 : 4));
        await expect(copyInto(client, 'thing', ['number', 'text'], rows)).rejects.toMatchObject({
          code: '22P03',
        });
        expect((await client.query('SELECT count(*)::int AS count FROM thing')).rows).toEqual([{ count: 0 }]);
      } finally {
        client.release();
      }
    },
  );

  it('runs a statement behind the rows in the same transaction', async () => {
    await using database = await openDatabase(
      'CREATE TABLE thing (number int4 PRIMARY KEY, text text); CREATE TABLE mark (at int)',
    );
    const { pool } = database;
    const count = async () => {
      const { rows } = await pool.query(
        'SELECT (SELECT count(*)::int FROM thing) AS things, (SELECT count(*)::int FROM mark) AS marks',
      );
      return rows[0];
    };
    const copy = async (bytes: Buffer, statement: string) => {
      const client = await pool.connect();
      try {
        await copyInto(client, 'thing', ['number', 'text'], bytes, statement);
      } finally {
        client.release();
      }
    };
    const rows = encoded(() => 4);
    await expect(copy(rows, "INSERT INTO mark VALUES ('no number')")).rejects.toMatchObject({
      code: '22P02',
    });
    expect(await count()).toEqual({ things: 0, marks: 0 });
    await copy(rows, 'INSERT INTO mark VALUES (1)');
    expect(await count()).toEqual({ things: ROWS, marks: 1 });
    await expect(copy(rows, 'INSERT INTO mark VALUES (2)')).rejects.toMatchObject({ code: '23505' });
    expect(await count()).toEqual({ things: ROWS, marks: 1 });
  });
});
