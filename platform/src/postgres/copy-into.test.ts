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

describe('copying into a table', () => {
  it('puts every row there once, however many pieces they take', async () => {
    await using database = await createTestDatabase();
    await using pool = openPool(database.url, {
      max: 1,
      queryTimeoutMs: 10_000,
      application: 'test',
      log: silentLog(),
    });
    await pool.query('CREATE TABLE thing (number int4, text text)');
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
      await using database = await createTestDatabase();
      await using pool = openPool(database.url, {
        max: 1,
        queryTimeoutMs: 10_000,
        application: 'test',
        log: silentLog(),
      });
      await pool.query('CREATE TABLE thing (number int4, text text)');
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
});
