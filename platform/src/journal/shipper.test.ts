import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../log.ts';
import { openPool, type Pool } from '../postgres/pool.ts';
import { firstPredictionIdAt, randomPredictionIds } from '../prediction-id.ts';
import { createTestDatabase, type TestDatabase } from '../testing/test-services.ts';
import { type Journal, type JournalTable, openJournal } from './journal.ts';
import type { JournalPosition } from './segment.ts';
import { startShipThread } from './ship-thread.ts';
import { type Shipper, type ShipperOptions, startShipper } from './shipper.ts';

interface Row {
  readonly id: string;
  readonly at: number;
  readonly text: string | null;
  readonly numbers: readonly string[];
  readonly error: string | null;
}

const TABLE: JournalTable<Row> = {
  table: 'thing',
  columns: ['id', 'at', 'content', 'tags', 'detail', 'spec', 'size', 'big', 'score', 'raw', 'error'],
  provisional: 'error',
  encode(row, into) {
    into.uuid(row.id);
    into.timestamp(row.at);
    if (row.text === null) into.nothing();
    else into.text(row.text);
    into.textArray(row.numbers);
    into.jsonb(JSON.stringify({ text: row.text }));
    into.json(JSON.stringify({ text: row.text }));
    into.int4(-7);
    into.int8(2 ** 40);
    into.float8(0.25);
    into.byteaOf([Buffer.from([1, 2]), Buffer.from([3])]);
    if (row.error === null) into.nothing();
    else into.text(row.error);
  },
};
const SCHEMA = `
CREATE TABLE thing (id uuid PRIMARY KEY, at timestamptz NOT NULL, content varchar(20), tags text[], detail jsonb, spec json, size int,
  big bigint, score float8, raw bytea, error text) PARTITION BY RANGE (id);
CREATE TABLE journal_position (journal text PRIMARY KEY, segment bigint NOT NULL, "offset" bigint NOT NULL, at timestamptz)`;
const NOW = Date.UTC(2026, 5, 1, 12);
const QUICK = { gatherMs: 1, backoffMs: 5, maxBackoffMs: 20, yields: false };

let directory: string;
let database: TestDatabase;
let pool: Pool;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hotloop-shipper-'));
  database = await createTestDatabase();
  pool = newPool(database.url);
  await pool.query(SCHEMA);
});
afterEach(async () => {
  await pool.end();
  await database[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

function newPool(url: string): Pool {
  return openPool(url, {
    max: 3,
    queryTimeoutMs: 10_000,
    connectTimeoutMs: 10_000,
    application: 'test',
    log: silentLog(),
  });
}

function open(folder = 'one', segmentBytes = 1 << 20): Journal<Row> {
  const options = { directory: join(directory, folder), maxBytes: 1 << 30, segmentBytes };
  return openJournal(TABLE, options, silentLog());
}

type Start = (journal: Journal<Row>, url?: string, options?: Partial<ShipperOptions>) => Shipper;

/** In this thread, with a pool that ends with the shipper. */
function startHere(
  journal: Journal<Row>,
  url = database.url,
  options: Partial<ShipperOptions> = QUICK,
): Shipper {
  const own = newPool(url);
  const source = {
    name: journal.name,
    directory: journal.directory,
    provisional: journal.provisional,
    written: () => journal.written(),
    fullness: () => journal.fullness(),
    async changed(seen: JournalPosition) {
      const { segment, offset } = journal.written();
      if (segment !== seen.segment || offset !== seen.offset) return;
      const written = Promise.withResolvers<void>();
      const unlisten = journal.onWritten(() => written.resolve());
      await written.promise;
      unlisten();
    },
    release: (before: JournalPosition) => journal.release(before),
  };
  const shipper = startShipper(source, own, silentLog(), options);
  return {
    flush: (deadlineMs) => shipper.flush(deadlineMs),
    counts: () => shipper.counts(),
    async [Symbol.asyncDispose]() {
      await shipper[Symbol.asyncDispose]();
      await own.end();
    },
  };
}

function startThread(
  journal: Journal<Row>,
  url = database.url,
  options: Partial<ShipperOptions> = QUICK,
): Shipper {
  return startShipThread(journal, { databaseUrl: url, application: 'test', shipper: options }, silentLog());
}

const ids = randomPredictionIds();
function row(ms = NOW, more: Partial<Row> = {}): Row {
  return { id: ids.next(ms), at: ms, text: 'hello', numbers: ['a', 'b'], error: null, ...more };
}

async function count(): Promise<number> {
  return (await pool.query('SELECT count(*)::int AS n FROM thing')).rows[0].n;
}

describe.each<[string, Start]>([
  ['in this thread', startHere],
  ['in a thread of its own', startThread],
])('a shipper %s', (_, start) => {
  it('carries every type to Postgres as it was', async () => {
    await using journal = open();
    await using shipper = start(journal);
    const odd = row(NOW + 0.5, { text: 'é\0"\\', numbers: ['', 'ü,"'] });
    await journal.append(odd, 'process');
    await journal.append(row(NOW, { text: null, numbers: [] }), 'process');
    await shipper.flush(10_000);
    const { rows } = await pool.query('SELECT * FROM thing WHERE id = $1', [odd.id]);
    expect(rows[0]).toMatchObject({
      id: odd.id,
      content: 'é\ufffd"\\',
      tags: ['', 'ü,"'],
      detail: { text: 'é\ufffd"\\' },
      spec: { text: 'é\ufffd"\\' },
      size: -7,
      big: String(2 ** 40),
      score: 0.25,
      raw: Buffer.from([1, 2, 3]),
      error: null,
    });
    expect(rows[0].at.getTime()).toBe(NOW);
    expect((await pool.query('SELECT content, tags FROM thing WHERE id <> $1', [odd.id])).rows).toEqual([
      { content: null, tags: [] },
    ]);
  });

  it.each([
    ['half a surrogate pair', 'a\ud800b\udc00', 'a\ufffdb\ufffd'],
    ['a whole one', 'a\u{1f600}b', 'a\u{1f600}b'],
    ['what only looks like an escape', '\\ud800 \\u0000 \\\\\0', '\\ud800 \\u0000 \\\\\ufffd'],
  ])('leaves no row out for %s in a text', async (_, text, kept) => {
    await using journal = open();
    await using shipper = start(journal);
    const odd = row(NOW, { text, numbers: [text] });
    await journal.append(odd, 'process');
    await shipper.flush(10_000);
    expect(shipper.counts()).toMatchObject({ shipped: 1, refused: 0 });
    const { rows } = await pool.query(
      "SELECT content, tags, detail, spec ->> 'text' AS spec FROM thing WHERE id = $1",
      [odd.id],
    );
    expect(rows).toEqual([{ content: kept, tags: [kept], detail: { text: kept }, spec: kept }]);
  });

  it('keeps one row for a key however often it comes, and lets an answer replace a failure', async () => {
    await using journal = open();
    await using shipper = start(journal);
    const answered = row(NOW, { text: 'first' });
    const failed = row(NOW, { text: 'late', error: 'DEADLINE_EXCEEDED' });
    await journal.append(answered, 'process');
    await journal.append({ ...answered, text: 'again' }, 'process');
    await journal.append(failed, 'process');
    await shipper.flush(10_000);
    await journal.append({ ...answered, text: 'failed later', error: 'INTERNAL' }, 'process');
    await journal.append({ ...failed, text: 'answered', error: null }, 'process');
    await shipper.flush(10_000);
    const { rows } = await pool.query('SELECT id, content, error FROM thing');
    expect(rows).toHaveLength(2);
    expect(rows).toContainEqual({ id: answered.id, content: 'first', error: null });
    expect(rows).toContainEqual({ id: failed.id, content: 'answered', error: null });
  });

  it('makes the partitions of the days it meets, beside others who do the same', async () => {
    const days = [0, 1, 2, 40];
    const folders = ['a', 'b', 'c'];
    await Promise.all(
      folders.map(async (folder) => {
        await using journal = open(folder);
        await using shipper = start(journal);
        for (const day of days) await journal.append(row(NOW + day * 86_400_000), 'process');
        await shipper.flush(10_000);
      }),
    );
    expect(await count()).toBe(days.length * folders.length);
    const { rows } = await pool.query(
      "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'thing'::regclass ORDER BY 1",
    );
    expect(rows.map((partition) => partition.name)).toEqual([
      'thing_20260601',
      'thing_20260602',
      'thing_20260603',
      'thing_20260711',
    ]);
  });

  it('waits while Postgres is away, loses nothing, and drains when it is back', async () => {
    await using journal = open();
    {
      await using shipper = start(journal, 'postgres://nobody@127.0.0.1:1/nothing');
      for (let index = 0; index < 50; index++) await journal.append(row(), 'process');
      await expect(shipper.flush(200)).rejects.toMatchObject({
        code: 'DEADLINE_EXCEEDED',
        reason: 'log_behind',
      });
    }
    await using shipper = start(journal);
    await shipper.flush(10_000);
    expect(await count()).toBe(50);
  });

  it('gathers steady traffic into few transactions', async () => {
    await using journal = open();
    await using shipper = start(journal, database.url, { ...QUICK, gatherMs: 100 });
    const begun = performance.now();
    let appended = 0;
    for (; performance.now() - begun < 600; appended++) {
      await journal.append(row(), 'process');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const elapsed = performance.now() - begun;
    await shipper.flush(10_000);
    // Each shipment's rows carry the transaction that brought them.
    const { rows } = await pool.query('SELECT count(DISTINCT xmin::text)::int AS shipments FROM thing');
    expect(await count()).toBe(appended);
    expect(rows[0].shipments).toBeLessThanOrEqual(elapsed / 100 + 3);
  });

  it('goes on where it stopped: nothing is shipped twice or left out by a restart', async () => {
    let written = 0;
    for (let opening = 0; opening < 3; opening++) {
      await using journal = open('one', 4_000);
      // Every second opening ships what it finds; the others only write.
      const shipper = opening === 1 ? undefined : start(journal);
      for (let index = 0; index < 60; index++) await journal.append(row(NOW + written++), 'process');
      if (opening === 2) await shipper?.flush(10_000);
      await shipper?.[Symbol.asyncDispose]();
    }
    expect(await count()).toBe(written);
  });

  it('leaves out a row that Postgres refuses, and only that', async () => {
    await using journal = open();
    await using shipper = start(journal);
    for (let index = 0; index < 40; index++)
      await journal.append(
        row(NOW, index === 17 ? { text: 'longer than twenty characters' } : {}),
        'process',
      );
    await shipper.flush(10_000);
    expect(await count()).toBe(39);
    expect(shipper.counts()).toEqual({ shipped: 39, refused: 1, lostBytes: 0 });
    await journal.append(row(), 'process');
    await shipper.flush(10_000);
    expect(await count()).toBe(40);
  });

  it('is flushed at once, whichever of its pauses the flush falls into', async () => {
    await using journal = open();
    await using shipper = start(journal, database.url, { ...QUICK, gatherMs: 3_600_000, yields: true });
    for (let round = 0; round < 12; round++) {
      for (let index = 0; index < 20; index++) await journal.append(row(), 'process');
      await shipper.flush(10_000);
      // From right behind a shipment to deep inside the pause that gathers.
      await new Promise((resolve) => setTimeout(resolve, round * 10));
    }
    expect(await count()).toBe(240);
  });

  it('ships everything also when it yields to others', async () => {
    await using journal = open();
    await using shipper = start(journal, database.url, { ...QUICK, chunkRows: 5, yields: true });
    for (let index = 0; index < 60; index++) await journal.append(row(), 'process');
    await shipper.flush(20_000);
    expect(await count()).toBe(60);
    for (let index = 0; index < 12; index++) await journal.append(row(), 'process');
    // On a busy machine it rests for up to three seconds after each of the three shipments.
    await expect.poll(count, { timeout: 40_000 }).toBe(72);
  });

  it.each([
    ['to an earlier position', 'UPDATE journal_position SET segment = $1, "offset" = $2'],
    ['to before all', 'DELETE FROM journal_position WHERE $1 >= 0 AND $2 >= 0'],
  ])('ships again what a database that was set back %s has lost', async (_, setBack) => {
    await using journal = open();
    await using shipper = start(journal);
    await journal.append(row(), 'process');
    await shipper.flush(10_000);
    const { rows } = await pool.query('SELECT * FROM journal_position');
    for (let index = 0; index < 20; index++) await journal.append(row(NOW + 1), 'process');
    await shipper.flush(10_000);
    await pool.query('DELETE FROM thing WHERE at > $1', [new Date(NOW)]);
    await pool.query(setBack, [rows[0].segment, rows[0].offset]);
    expect(await count()).toBe(1);
    await journal.append(row(NOW + 2), 'process');
    await shipper.flush(10_000);
    expect(await count()).toBe(22);
    expect(shipper.counts().refused).toBe(0);
  });

  it('deletes what it has shipped', async () => {
    await using journal = open('one', 4_000);
    await using shipper = start(journal);
    for (let index = 0; index < 300; index++) await journal.append(row(), 'process');
    await shipper.flush(10_000);
    expect(journal.bytes()).toBeLessThan(8_000);
    expect(await count()).toBe(300);
  });

  it('puts the smallest and the largest id of a day into that day', async () => {
    await using journal = open();
    await using shipper = start(journal);
    const midnight = Date.UTC(2026, 0, 2);
    await journal.append(row(NOW, { id: firstPredictionIdAt(midnight) }), 'process');
    await journal.append(
      row(NOW, { id: `${firstPredictionIdAt(midnight - 1).slice(0, 14)}7fff-bfff-ffffffffffff` }),
      'process',
    );
    await shipper.flush(10_000);
    const { rows } = await pool.query('SELECT tableoid::regclass::text AS name FROM thing ORDER BY id');
    expect(rows.map((found) => found.name)).toEqual(['thing_20260101', 'thing_20260102']);
  });
});

describe('a thread that ships', () => {
  it('ships a row at once that is written right behind another', async () => {
    await using journal = open();
    // A thread that is not woken sleeps on for longer than the test waits.
    const options = { databaseUrl: database.url, application: 'test', shipper: QUICK, wakeMs: 3_600_000 };
    await using _shipper = startShipThread(journal, options, silentLog());
    for (let written = 1; written <= 100; written++) {
      await journal.append(row(), 'process');
      await expect.poll(count, { interval: 1, timeout: 10_000 }).toBe(written);
    }
  });

  it('is started again when it ends by itself, and does what it was asked meanwhile', async () => {
    const threads: Worker[] = [];
    const note = (thread: Worker) => threads.push(thread);
    process.on('worker', note);
    try {
      await using journal = open();
      await using shipper = startThread(journal);
      await journal.append(row(), 'process');
      await shipper.flush(10_000);
      await threads[0]?.terminate();
      await journal.append(row(), 'process');
      await shipper.flush(10_000);
      expect(threads).toHaveLength(2);
      expect(await count()).toBe(2);
      expect(shipper.counts()).toEqual({ shipped: 2, refused: 0, lostBytes: 0 });
    } finally {
      process.off('worker', note);
    }
  });

  it('finds in the environment what the address of Postgres leaves to it', async () => {
    const url = new URL(database.url);
    vi.stubEnv('PGUSER', url.username);
    url.username = '';
    try {
      await using journal = open();
      await using shipper = startThread(journal, url.href);
      await journal.append(row(), 'process');
      await shipper.flush(10_000);
      expect(await count()).toBe(1);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
