import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { type Journal, type JournalTable, openJournal } from '../journal/journal.ts';
import type { JournalPosition } from '../journal/segment.ts';
import { startShipThread } from '../journal/ship-thread.ts';
import { type Shipper, type ShipperOptions, startShipper } from '../journal/shipper.ts';
import { type Log, silentLog } from '../log.ts';
import { openPool, type Pool } from '../postgres/pool.ts';
import { createTestDatabase } from './test-services.ts';

export interface Thing {
  readonly id: string;
  readonly at: number;
  readonly text: string | null;
  readonly numbers: readonly string[];
  readonly error: string | null;
}

const TABLE: JournalTable<Thing> = {
  table: 'thing',
  columns: ['id', 'at', 'content', 'tags', 'detail', 'size', 'big', 'score', 'raw', 'error'],
  provisional: 'error',
  encode(row, into) {
    into.uuid(row.id);
    into.timestamp(row.at);
    if (row.text === null) into.nothing();
    else into.text(row.text);
    into.textArray(row.numbers);
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
CREATE TABLE thing (id uuid PRIMARY KEY, at timestamptz NOT NULL, content varchar(20), tags text[], detail jsonb, size int,
  big bigint, score float8, raw bytea, error text) PARTITION BY RANGE (id);
CREATE TABLE journal_position (journal text PRIMARY KEY, segment bigint NOT NULL, "offset" bigint NOT NULL, at timestamptz)`;

export const NOW = Date.UTC(2026, 5, 1, 12);
export const QUICK = { gatherMs: 1, backoffMs: 5, maxBackoffMs: 20 };

export type Start = (
  journal: Journal<Thing>,
  options?: Partial<ShipperOptions>,
  databaseUrl?: string,
  log?: Log,
) => Shipper;

/** A database with a table of things, a folder for journals of them, and shippers between the two. */
export interface ShipperStand extends AsyncDisposable {
  readonly url: string;
  readonly pool: Pool;
  open(folder?: string, segmentBytes?: number, renewMs?: number): Journal<Thing>;
  /** In this thread, with a pool that ends with the shipper. */
  readonly startHere: Start;
  readonly startThread: Start;
  /** Number of things in the table. */
  count(): Promise<number>;
}

export async function openShipperStand(): Promise<ShipperStand> {
  await using opened = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'hotloop-shipper-'));
  opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  const { url } = opened.use(await createTestDatabase());
  const pool = opened.use(newPool(url));
  await pool.query(SCHEMA);
  const stack = opened.move();
  return {
    url,
    pool,
    open(folder = 'one', segmentBytes = 1 << 20, renewMs = 30_000) {
      const options = { directory: join(directory, folder), maxBytes: 1 << 30, segmentBytes, renewMs };
      return openJournal(TABLE, options, silentLog());
    },
    startHere: (journal, options = QUICK, databaseUrl = url, log = silentLog()) =>
      shipHere(journal, options, databaseUrl, log),
    startThread: (journal, options = QUICK, databaseUrl = url, log = silentLog()) =>
      startShipThread(journal, { databaseUrl, application: 'test', shipper: options }, log),
    count: async () => (await pool.query('SELECT count(*)::int AS n FROM thing')).rows[0].n,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export function thing(ms = NOW, more: Partial<Thing> = {}): Thing {
  const id = randomPredictionIds().next(ms);
  return { id, at: ms, text: 'hello', numbers: ['a', 'b'], error: null, ...more };
}

function newPool(url: string): Pool {
  return openPool(url, {
    max: 3,
    queryTimeoutMs: 10_000,
    connectTimeoutMs: 10_000,
    application: 'test',
    log: silentLog(),
  });
}

function shipHere(journal: Journal<Thing>, options: Partial<ShipperOptions>, url: string, log: Log): Shipper {
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
  const shipper = startShipper(source, own, log, options);
  return {
    flush: (deadlineMs) => shipper.flush(deadlineMs),
    counts: () => shipper.counts(),
    async [Symbol.asyncDispose]() {
      await using _pool = own;
      await shipper[Symbol.asyncDispose]();
    },
  };
}
