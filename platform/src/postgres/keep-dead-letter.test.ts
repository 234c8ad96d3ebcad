import { HotloopError } from '@hotloop/proto/errors.ts';
import { describe, expect, it } from 'vitest';
import type { RawMessage } from '../kafka/message.ts';
import { silentLog } from '../log.ts';
import { createMigratedDatabase, testServices } from '../testing/test-services.ts';
import { postgresDeadLetters } from './keep-dead-letter.ts';
import { openPool } from './pool.ts';

const log = silentLog();

const message = (given: Partial<RawMessage> = {}): RawMessage => ({
  ...{ topic: 'events', partition: 3, offset: 2n ** 62n, timestampMs: 0, headers: {} },
  key: null,
  value: Buffer.from([0, 255, 10]),
  ...given,
});

const problem = new HotloopError('INVALID_ARGUMENT', 'the message is not UTF-8');

async function open() {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createMigratedDatabase());
  const pool = stack.use(openPool(database.url, { max: 2, queryTimeoutMs: 5000, application: 'test', log }));
  const rows = async () => (await pool.query('SELECT * FROM set_aside ORDER BY id')).rows;
  return { pool, rows, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('storing a dead letter', () => {
  it('stores it byte for byte with its position and its error, once', async () => {
    await using opened = await open();
    const keepDeadLetter = postgresDeadLetters(opened.pool, 'history');
    for (let index = 0; index < 2; index++) await keepDeadLetter(message(), problem);
    await keepDeadLetter(message({ offset: 7n, key: Buffer.from('k'), value: null }), problem);
    expect(await opened.rows()).toMatchObject([
      {
        ...{ consumer: 'history', topic: 'events', partition: 3, offset: String(2n ** 62n) },
        ...{
          key: null,
          value: Buffer.from([0, 255, 10]),
          error: 'INVALID_ARGUMENT: the message is not UTF-8',
        },
      },
      { offset: '7', key: Buffer.from('k'), value: null },
    ]);
  });

  it('stores one for each consumer', async () => {
    await using opened = await open();
    for (const consumer of ['history', 'outcomes'])
      await postgresDeadLetters(opened.pool, consumer)(message(), problem);
    expect(await opened.rows()).toHaveLength(2);
  });

  it.each([
    ['NUL', 'a\0b'],
    ['text that only looks like an escape of NUL', 'a\\u0000b'],
    ['an unpaired surrogate', 'a\ud800b'],
    ['quotes', `a"'b`],
  ])('works with %s in a header or in the error', async (_, text) => {
    await using opened = await open();
    const error = new HotloopError('INVALID_ARGUMENT', `cannot read ${text}`);
    await postgresDeadLetters(opened.pool, 'history')(message({ headers: { [text]: text } }), error);
    const [row] = await opened.rows();
    const kept = text.replaceAll('\0', '').toWellFormed();
    expect(row).toMatchObject({ headers: { [kept]: kept }, error: `INVALID_ARGUMENT: cannot read ${kept}` });
  });

  it('rejects UNAVAILABLE while Postgres is down, so that it is retried', async () => {
    const nobody = new URL(testServices().databaseUrl);
    nobody.port = '1';
    await using pool = openPool(nobody.href, { max: 1, queryTimeoutMs: 1000, application: 'test', log });
    await expect(postgresDeadLetters(pool, 'history')(message(), problem)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });
});
