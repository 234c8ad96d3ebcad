import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLog, silentLog } from '../log.ts';
import {
  NOW,
  openShipperStand,
  QUICK,
  type ShipperStand,
  type Start,
  thing,
} from '../testing/shipper-stand.ts';
import { stays } from '../testing/stays.ts';
import { startShipThread } from './ship-thread.ts';

let stand: ShipperStand;
beforeEach(async () => {
  stand = await openShipperStand();
});
afterEach(() => stand[Symbol.asyncDispose]());

describe.each([
  ['in this thread', 'startHere'],
  ['in a separate thread', 'startThread'],
] as const)('a shipper %s', (_, how) => {
  const start: Start = (...all) => stand[how](...all);

  it('waits while Postgres is down, loses nothing, and catches up when it is back', async () => {
    await using journal = stand.open();
    {
      await using shipper = start(journal, QUICK, 'postgres://nobody@127.0.0.1:1/nothing');
      for (let index = 0; index < 50; index++) await journal.append(thing(), 'process');
      await expect(shipper.flush(200)).rejects.toMatchObject({
        code: 'DEADLINE_EXCEEDED',
        reason: 'log_behind',
      });
    }
    await using shipper = start(journal);
    await shipper.flush(10_000);
    expect(await stand.count()).toBe(50);
  });

  it('continues at its position: a restart ships nothing twice and omits nothing', async () => {
    let written = 0;
    for (let opening = 0; opening < 3; opening++) {
      await using journal = stand.open('one', 4_000);
      // Every second opening ships what it finds; the others only write.
      const shipper = opening === 1 ? undefined : start(journal);
      for (let index = 0; index < 60; index++) await journal.append(thing(NOW + written++), 'process');
      if (opening === 2) await shipper?.flush(10_000);
      await shipper?.[Symbol.asyncDispose]();
    }
    expect(await stand.count()).toBe(written);
  });

  it('waits while the disk of Postgres is full, and loses nothing', async () => {
    await stand.pool.query(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$`);
    await stand.pool.query('CREATE TRIGGER disk BEFORE INSERT ON thing EXECUTE FUNCTION full_disk()');
    await using journal = stand.open();
    await using shipper = start(journal);
    for (let index = 0; index < 40; index++) await journal.append(thing(), 'process');
    await expect(shipper.flush(200)).rejects.toMatchObject({ reason: 'log_behind' });
    await stand.pool.query('DROP TRIGGER disk ON thing');
    await shipper.flush(10_000);
    expect(await stand.count()).toBe(40);
    expect(shipper.counts()).toEqual({ shipped: 40, refused: 0, lostBytes: 0 });
  });

  it('leaves out only the row that Postgres rejects', async () => {
    await using journal = stand.open();
    await using shipper = start(journal);
    for (let index = 0; index < 40; index++)
      await journal.append(
        thing(NOW, index === 17 ? { text: 'longer than twenty characters' } : {}),
        'process',
      );
    await shipper.flush(10_000);
    expect(await stand.count()).toBe(39);
    expect(shipper.counts()).toEqual({ shipped: 39, refused: 1, lostBytes: 0 });
    await journal.append(thing(), 'process');
    await shipper.flush(10_000);
    expect(await stand.count()).toBe(40);
  });

  it.each(['pg_cancel_backend', 'pg_terminate_backend'])(
    'ships every row once although shipments are interrupted by %s',
    async (cut) => {
      await stand.pool.query(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END'`);
      await stand.pool.query('CREATE TRIGGER slow BEFORE INSERT ON thing EXECUTE FUNCTION wait()');
      const holder = await stand.pool.connect();
      await using released = new AsyncDisposableStack();
      released.defer(async () => {
        await holder.query('SELECT pg_advisory_unlock(1)');
        holder.release();
      });
      await holder.query('SELECT pg_advisory_lock(1)');
      const cutShipment = async () => {
        const { rows } = await stand.pool.query(
          `SELECT ${cut}(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'`,
        );
        return rows.length;
      };
      await using journal = stand.open();
      await using shipper = start(journal);
      for (let times = 0; times < 3; times++) {
        for (let index = 0; index < 20; index++) await journal.append(thing(), 'process');
        await expect.poll(cutShipment, { interval: 5, timeout: 20_000 }).toBe(1);
      }
      await released.disposeAsync();
      await shipper.flush(20_000);
      expect(await stand.count()).toBe(60);
      expect(shipper.counts()).toEqual({ shipped: 60, refused: 0, lostBytes: 0 });
    },
  );

  it('recreates a partition that was dropped, for one row as for many', async () => {
    await using journal = stand.open();
    await using shipper = start(journal);
    for (const rows of [1, 1, 5]) {
      for (let index = 0; index < rows; index++) await journal.append(thing(), 'process');
      await shipper.flush(10_000);
      expect(await stand.count()).toBe(rows);
      await stand.pool.query('DROP TABLE thing_20260601');
    }
    expect(shipper.counts()).toMatchObject({ shipped: 7, refused: 0 });
  });

  describe('with a Postgres restored to an earlier state', () => {
    const DAY_MS = 86_400_000;
    const TO_EARLIER = 'UPDATE journal_position SET segment = $1, "offset" = $2';
    const TO_BEFORE_ALL = 'DELETE FROM journal_position WHERE $1 >= 0 AND $2 >= 0';

    it.each([
      ['to an earlier position', TO_EARLIER, 'DELETE FROM thing WHERE at >= $1'],
      ['to before the first shipment', TO_BEFORE_ALL, 'DELETE FROM thing WHERE at >= $1'],
      ['while a known key arrives again', TO_EARLIER, 'DELETE FROM thing WHERE at > $1'],
      ['to before a partition was created', TO_EARLIER, 'DROP TABLE thing_20260602'],
    ])('ships lost rows again: %s', async (how, setBack, lose) => {
      await using journal = stand.open();
      await using shipper = start(journal);
      const first = thing();
      await journal.append(first, 'process');
      await shipper.flush(10_000);
      const { rows } = await stand.pool.query('SELECT * FROM journal_position');
      for (let index = 0; index < 20; index++) {
        await journal.append(thing(NOW + DAY_MS + index), 'process');
        if (index % 10 === 0) await shipper.flush(10_000);
      }
      await shipper.flush(10_000);
      await stand.pool.query(lose, lose.includes('$1') ? [new Date(NOW + DAY_MS)] : []);
      await stand.pool.query(setBack, [rows[0].segment, rows[0].offset]);
      if (how.includes('known key')) await journal.append(first, 'process');
      await journal.append(thing(NOW + DAY_MS), 'process');
      await shipper.flush(10_000);
      expect(await stand.count()).toBe(22);
      expect(shipper.counts()).toMatchObject({ refused: 0, lostBytes: 0 });
    });

    it('logs an error when the journal does not reach back far enough', async () => {
      const lines: string[] = [];
      const log = createLog({ service: 'test', level: 'warn' }, { write: (line) => void lines.push(line) });
      await using journal = stand.open('one', 4_200);
      await using shipper = start(journal, QUICK, stand.url, log);
      await journal.append(thing(), 'process');
      await shipper.flush(10_000);
      const { rows } = await stand.pool.query('SELECT * FROM journal_position');
      for (let index = 0; index < 100; index++) await journal.append(thing(), 'process');
      await shipper.flush(10_000);
      await stand.pool.query(TO_EARLIER, [rows[0].segment, rows[0].offset]);
      await journal.append(thing(), 'process');
      await shipper.flush(10_000);
      expect(await stand.count()).toBe(102);
      await expect.poll(() => lines.join('')).toContain('no longer reaches back to where Postgres has it');
      expect(lines.join('')).toContain('Postgres was restored to an earlier state');
    });
  });

  it('gathers rows again after a flush has ended', async () => {
    await using journal = stand.open();
    await using shipper = start(journal, { ...QUICK, gatherMs: 3_600_000 });
    await shipper.flush(10_000);
    await journal.append(thing(), 'process');
    await shipper.flush(10_000);
    await journal.append(thing(), 'process');
    await stays(300, () => stand.count(), 1);
    await shipper.flush(10_000);
    expect(await stand.count()).toBe(2);
  });
});

describe('a shipping thread', () => {
  it('ships a row at once that is written directly after another', async () => {
    await using journal = stand.open();
    // Without a wake-up the thread would sleep longer than the test waits.
    const options = { databaseUrl: stand.url, application: 'test', shipper: QUICK, wakeMs: 3_600_000 };
    await using _shipper = startShipThread(journal, options, silentLog());
    for (let written = 1; written <= 100; written++) {
      await journal.append(thing(), 'process');
      await expect.poll(stand.count, { interval: 1, timeout: 10_000 }).toBe(written);
    }
  });

  it('is restarted when it ends by itself, and handles requests made meanwhile', async () => {
    const threads: Worker[] = [];
    const note = (thread: Worker) => threads.push(thread);
    process.on('worker', note);
    try {
      await using journal = stand.open();
      await using shipper = stand.startThread(journal);
      await journal.append(thing(), 'process');
      await shipper.flush(10_000);
      await threads[0]?.terminate();
      await journal.append(thing(), 'process');
      await shipper.flush(10_000);
      expect(threads).toHaveLength(2);
      expect(await stand.count()).toBe(2);
      expect(shipper.counts()).toEqual({ shipped: 2, refused: 0, lostBytes: 0 });
    } finally {
      process.off('worker', note);
    }
  });

  it('reads connection settings from the environment that the address of Postgres omits', async () => {
    const url = new URL(stand.url);
    vi.stubEnv('PGUSER', url.username);
    url.username = '';
    try {
      await using journal = stand.open();
      await using shipper = stand.startThread(journal, QUICK, url.href);
      await journal.append(thing(), 'process');
      await shipper.flush(10_000);
      expect(await stand.count()).toBe(1);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
