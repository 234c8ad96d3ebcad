import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ArchivedEvent, eventLine, openEventArchive } from '@hotloop/platform/archive/event-archive.ts';
import { systemClock } from '@hotloop/platform/clock.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { describe, expect, it } from 'vitest';
import { MemoryHistory } from '../history/memory-history.ts';
import { readEvent } from '../parse-event.ts';
import { takeEvents } from '../take-events.ts';
import { createBackfill } from './backfill-history.ts';
import { startCompaction } from './compact-archive.ts';
import { openEventSpool } from './event-spool.ts';
import { watchHistory } from './rebuild-history.ts';

const log = silentLog();

async function open() {
  const stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-spool-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const archive = stack.use(await openEventArchive(openObjectStore(join(folder, 'store'))));
  const archived = async () => {
    const events: ArchivedEvent[] = [];
    for await (const batch of archive.read({ sinceMs: 0, untilMs: Number.MAX_SAFE_INTEGER }))
      events.push(...batch);
    return events;
  };
  const spoolFolder = join(folder, 'spool');
  return { archive, archived, spoolFolder, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const viewed = (id: string, user = 'u1') =>
  readEvent(
    {
      ...{ specversion: '1.0', id, source: '/shop', type: 'view', time: new Date().toISOString() },
      data: { entity: { user }, price: 2 },
    },
    Date.now(),
  );

const countOf = async (history: MemoryHistory, entityId = 'u1') => {
  const read = { entity: 'user', entityId, event: 'view', sinceMs: 0, limit: 256, fields: true };
  return (await history.read([read]))[0]?.length;
};

describe('a backfill', () => {
  it('backfills archived events of some types into the history, idempotently, one run at a time', async () => {
    await using opened = await open();
    await using spool = await openEventSpool(
      { folder: opened.spoolFolder, everyMs: 60_000 },
      opened.archive,
      log,
    );
    await takeEvents(new MemoryHistory(), spool, systemClock)(['a', 'b', 'c'].map((id) => viewed(id)));
    const history = new MemoryHistory();
    const backfill = createBackfill({ history, archive: opened.archive, spool, clock: systemClock });
    const never = new AbortController().signal;
    const first = backfill({ types: ['view'], sinceMs: 0 }, never);
    await expect(backfill({ types: ['view'], sinceMs: 0 }, never)).rejects.toMatchObject({
      reason: 'backfill_at_work',
    });
    expect(await first).toMatchObject({ events: 3 });
    await backfill({ types: ['view', 'buy'], sinceMs: 0 }, never);
    expect(await countOf(history)).toBe(3);
    expect(await backfill({ types: ['buy'], sinceMs: 0 }, never)).toMatchObject({ events: 0 });
  });
});

describe('events that are being archived', () => {
  it('rebuild an emptied history automatically', async () => {
    await using opened = await open();
    const history = new MemoryHistory();
    await using spool = await openEventSpool(
      { folder: opened.spoolFolder, everyMs: 60_000 },
      opened.archive,
      log,
    );
    const take = takeEvents(history, spool, systemClock);
    await take(['a', 'b', 'c'].map((id) => viewed(id)));
    await take([viewed('c'), viewed('d', 'u2')]);
    await history.markFilled();
    history.empty();
    const { archive } = opened;
    await using _watch = watchHistory({ history, archive, spool, clock: systemClock, log }, 20);
    await expect.poll(() => countOf(history)).toBe(3);
    expect(await countOf(history, 'u2')).toBe(1);
    await expect.poll(() => history.isFilled()).toBe(true);
    history.empty();
    await expect.poll(() => countOf(history)).toBe(3);
  });

  it('wait on disk while the store is down and after a crash, and are shipped by the next process', async () => {
    await using opened = await open();
    let away = true;
    const failing = {
      addFile: async (path: string) => {
        if (away) throw new HotloopError('UNAVAILABLE', 'the store is away');
        return opened.archive.addFile(path);
      },
    };
    const first = await openEventSpool({ folder: opened.spoolFolder, everyMs: 60_000 }, failing, log);
    await takeEvents(new MemoryHistory(), first, systemClock)([viewed('a'), viewed('b')]);
    await expect(first.flush()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await first[Symbol.asyncDispose]();
    expect(await readdir(opened.spoolFolder)).toHaveLength(1);
    away = false;
    await using second = await openEventSpool({ folder: opened.spoolFolder, everyMs: 60_000 }, failing, log);
    await second.flush();
    expect(await readdir(opened.spoolFolder)).toEqual([]);
    expect(await opened.archived()).toHaveLength(2);
  });

  it('are compacted periodically, with retries when the store is down', async () => {
    const asked: number[] = [];
    const archive = {
      async compact(beforeMs: number) {
        asked.push(beforeMs);
        if (asked.length === 1) throw new HotloopError('UNAVAILABLE', 'the store is away');
        return 2;
      },
    };
    await using _compaction = startCompaction({ archive, clock: systemClock, log }, 5);
    await expect.poll(() => asked.length).toBeGreaterThan(2);
    expect(asked[0]).toBeLessThan(Date.now() - 3_500_000);
  });

  it('are rejected when too many wait', async () => {
    await using opened = await open();
    const failing = { addFile: () => Promise.reject(new HotloopError('UNAVAILABLE', 'away')) };
    const folder = opened.spoolFolder;
    await using spool = await openEventSpool({ folder, everyMs: 60_000, maxBytes: 100 }, failing, log);
    const line = Buffer.from(eventLine({ ...viewed('a'), arrivalUs: 1 }));
    await spool.append(line);
    await expect(spool.append(line)).rejects.toMatchObject({ reason: 'archive_behind' });
  });
});
