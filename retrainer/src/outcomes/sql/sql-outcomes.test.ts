import { systemClock } from '@hotloop/platform/clock.ts';
import { openPool, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { createTestDatabase } from '@hotloop/platform/testing/test-services.ts';
import { describe, expect, it } from 'vitest';
import { loopReader } from '../../datasets/loop-state.ts';
import {
  linearModel,
  logPredictions,
  manifestText,
  openStores,
  push,
  type Stores,
} from '../../testing/fixture.ts';
import { modelRules } from '../model-rules.ts';
import { outcomeOfRow } from './outcome-row.ts';
import { readSqlOutcomes } from './read-sql-outcomes.ts';

const MANIFEST = manifestText(
  'm',
  `outcome:
  from: {sql: {url_env: BOOKINGS_URL, query: "SELECT * FROM booking", watermark: changed, every: 1h}}
  join: [user]
  positive: "event.state == 'paid'"
  otherwise: 0
`,
);

/** The business database: another database of the same server. */
async function openBookings(stores: Stores) {
  const database = await createTestDatabase();
  const pool = openPool(database.url, {
    max: 2,
    queryTimeoutMs: 20_000,
    application: 'bookings',
    log: stores.log,
  });
  await pool.query(
    `CREATE TABLE booking (id bigint PRIMARY KEY, "user" text, state text, amount numeric, changed timestamp NOT NULL)`,
  );
  return {
    url: database.url,
    pool,
    async [Symbol.asyncDispose]() {
      await pool.end();
      await database[Symbol.asyncDispose]();
    },
  };
}

const read = (stores: Stores, url: string | undefined, pool: Pool = stores.pool) => {
  const [source] = modelRules(stores.registry).sqlSources();
  return readSqlOutcomes(...source!, { pool, databases: () => url, clock: systemClock });
};
const makeDue = (stores: Stores) => stores.pool.query('UPDATE outcome_source SET due_at = now()');
const counted = async (stores: Stores) =>
  (await stores.pool.query<{ n: number }>('SELECT count(*)::int AS n FROM outcome')).rows[0]!.n;

/** A pool whose process "dies" before the position of its n-th page is stored: that transaction is lost. */
function dying(pool: Pool, page: number): Pool {
  let pages = 0;
  return Object.assign(Object.create(pool) as Pool, {
    query: (text: string, values: unknown[]) => pool.query(text, values),
    connect: async () => {
      const client = await pool.connect();
      return Object.assign(Object.create(client) as typeof client, {
        query: (text: string, values: unknown[]) => {
          if (text.includes('UPDATE outcome_source SET watermark') && ++pages === page)
            return Promise.reject(new Error('killed'));
          return client.query(text, values);
        },
      });
    },
  });
}

describe('outcomes by SQL', () => {
  it('count exactly once across kills, concurrent readers, late commits and changed rows', async () => {
    await using stores = await openStores();
    await using bookings = await openBookings(stores);
    await push(stores, MANIFEST, linearModel());
    await bookings.pool.query(
      `INSERT INTO booking SELECT i, 'u' || i, CASE WHEN i % 2 = 0 THEN 'paid' ELSE 'open' END, i, now() at time zone 'utc' - interval '1 h'
         + (i / 10) * interval '1 s' FROM generate_series(1, 5000) i`,
    );
    // Dies once in the second page: the first page is kept, the second is not.
    await read(stores, bookings.url, dying(stores.pool, 2));
    expect(await counted(stores)).toBe(1000);
    await makeDue(stores);
    await Promise.all([read(stores, bookings.url), read(stores, bookings.url)]);
    expect(await counted(stores)).toBe(2500);
    await makeDue(stores);
    expect(await read(stores, bookings.url)).toBe(0);
    // One row changes, and one commits late, with a time below the position.
    await bookings.pool.query(
      `UPDATE booking SET state = 'paid', changed = now() at time zone 'utc' WHERE id = 1`,
    );
    await bookings.pool.query(
      `INSERT INTO booking VALUES (9001, 'late', 'paid', 1, now() at time zone 'utc' - interval '4 min')`,
    );
    expect(await read(stores, bookings.url)).toBe(0);
    await makeDue(stores);
    expect(await read(stores, bookings.url)).toBe(2);
    expect(await counted(stores)).toBe(2502);
    const { rows } = await stores.pool.query<{ keys: object; source: string; attributes: object }>(
      `SELECT keys, source, attributes FROM outcome WHERE id LIKE '9001@%'`,
    );
    expect(rows[0]).toMatchObject({
      keys: { user: 'late' },
      source: 'sql:BOOKINGS_URL',
      attributes: { state: 'paid' },
    });
    const state = await loopReader(stores.pool, modelRules(stores.registry)).read('m');
    expect(state.sqlSource).toMatchObject({ outcomes: 2502, error: '', refused: 0 });
  });

  it('report errors without the address: no variable, no server, a bad query, unusable rows', async () => {
    await using stores = await openStores();
    await using bookings = await openBookings(stores);
    await push(stores, MANIFEST, linearModel());
    const [id] = await logPredictions(stores.pool, [{ model: 'm', features: [1, 2] }]);
    const problemOf = async (url: string | undefined) => {
      await makeDue(stores);
      await read(stores, url);
      const loop = loopReader(stores.pool, modelRules(stores.registry));
      return (await loop.read('m')).sqlSource;
    };
    expect((await problemOf(undefined))?.error).toContain('no variable BOOKINGS_URL');
    const wrong = new URL(bookings.url);
    wrong.password = 'hunter2';
    wrong.port = '1';
    for (const url of [wrong.href, 'postgres://ada:hunter2@[bad', 'hunter2']) {
      const error = (await problemOf(url))?.error ?? '';
      expect(error).toContain('cannot be reached');
      expect(error).not.toMatch(/hunter2|ada|127\.0\.0\.1|localhost/);
    }
    await bookings.pool.query('ALTER TABLE booking RENAME COLUMN changed TO altered');
    expect((await problemOf(bookings.url))?.error).toContain('column "changed" does not exist');
    await bookings.pool.query('ALTER TABLE booking RENAME COLUMN altered TO changed');
    await bookings.pool.query(`ALTER TABLE booking ADD COLUMN prediction_id text`);
    await bookings.pool.query(
      `INSERT INTO booking VALUES (1, NULL, 'paid', 1, now(), NULL), (2, NULL, 'paid', 1, now(), 'nonsense'), (3, NULL, 'paid', 1, now(), $1)`,
      [id],
    );
    const source = await problemOf(bookings.url);
    expect(source).toMatchObject({ error: '', refused: 2, outcomes: 1 });
    expect(source?.problems.join()).toMatch(/row 1: keys.user .*row 2: prediction_id/);
  });

  it('read times without a zone as UTC, and any scalar as a key and an attribute', () => {
    const cells = {
      id: 7,
      user: 12,
      tags: ['a'],
      deep: { x: 1 },
      value: 1,
      changed: '2026-01-02T03:04:05.6',
    };
    const row = { id: '7', watermark: '2026-01-02 03:04:05.6', cells };
    expect(outcomeOfRow(row, 'changed', 's')).toEqual({
      id: '7@2026-01-02 03:04:05.6',
      source: 's',
      kind: '',
      predictionId: '',
      keys: { id: '7', user: '12', value: '1', changed: '2026-01-02T03:04:05.6' },
      value: 1,
      attributes: { id: 7, user: 12, value: 1, tags: ['a'], changed: '2026-01-02T03:04:05.6' },
      occurredAt: '2026-01-02T03:04:05.6Z',
    });
  });
});
