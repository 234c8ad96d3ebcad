import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../log.ts';
import { createTestDatabase } from '../testing/test-services.ts';
import { copyInto } from './copy-into.ts';
import { CopyRow } from './copy-row.ts';
import { openPool } from './pool.ts';

const ROWS = 3000;
const TEXT = 'x'.repeat(1000);

/** Rows of (int4 number, text), 3 MB in total, so they are sent in many pieces. */
function encoded(bytesOfNumber: (row: number) => number): Buffer {
  const text = new CopyRow();
  text.text(TEXT);
  const rows = Array.from({ length: ROWS }, (_, number) => {
    const head = Buffer.alloc(2 + 4 + bytesOfNumber(number));
    head.writeInt16BE(2, 0);
    head.writeInt32BE(bytesOfNumber(number), 2);
    head.writeInt32BE(number, 6);
    return Buffer.concat([head, text.bytes()]);
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

const QUIET_MS = 100;
const TYPE_AT = 0;
const COPY_IN_RESPONSE = 'G'.charCodeAt(0);
/** An error followed by ReadyForQuery, as Postgres sends them when a statement is cancelled. */
const CANCELLED = Buffer.concat([
  Buffer.from('E\0\0\0\x22SERROR\0C57014\0Mcanceled by test\0\0', 'latin1'),
  Buffer.from('Z\0\0\0\x05I', 'latin1'),
]);

/**
 * A proxy in front of Postgres that cancels a copy when its first rows arrive, before it has read them. The real
 * Postgres does this only by chance, when it reads faster than is written. `read` reads the rest, and resolves once
 * nothing more arrives.
 */
async function cancelsCopies(url: string) {
  const { hostname, port } = new URL(url);
  const cancelled = Promise.withResolvers<Socket>();
  const server = createServer((client) => {
    const postgres = connect(Number(port), hostname);
    client.pipe(postgres);
    postgres.on('data', (bytes) => {
      client.write(bytes);
      if (bytes[TYPE_AT] !== COPY_IN_RESPONSE) return;
      client.unpipe(postgres);
      client.pause();
      client.write(CANCELLED);
      cancelled.resolve(client);
    });
    for (const socket of [client, postgres])
      socket.on('error', () => undefined).on('close', () => client.destroy() && postgres.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = new URL(url);
  own.port = String((server.address() as AddressInfo).port);
  return {
    url: own.href,
    async read() {
      const client = await cancelled.promise;
      let bytes = 0;
      client.on('data', (more) => {
        bytes += more.length;
      });
      client.resume();
      for (let before = -1; bytes === 0 || bytes !== before; ) {
        before = bytes;
        await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
      }
    },
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

describe('copying into a table', () => {
  it('stores every row once, in however many pieces they are sent', async () => {
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
    'rejects with the error of Postgres, stores nothing and leaves the connection usable when row %d is rejected',
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

  it('rejects when it is cancelled while rows are being sent, and sends no more', async () => {
    await using database = await createTestDatabase();
    await using between = await cancelsCopies(database.url);
    const options = { max: 1, queryTimeoutMs: 10_000, application: 'test', log: silentLog() };
    await using pool = openPool(between.url, options);
    await pool.query('CREATE TABLE thing (number int4, text text)');
    const client = await pool.connect();
    try {
      const rows = Buffer.concat(new Array(10).fill(encoded(() => 4)));
      const copied = copyInto(client, 'thing', ['number', 'text'], rows);
      await expect(copied).rejects.toMatchObject({ code: '57014' });
      // The writer gets its error when the rest is read. It must not write more, because that would end the process.
      await between.read();
    } finally {
      client.release(true);
    }
  });

  it('runs a statement after the rows in the same transaction', async () => {
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
