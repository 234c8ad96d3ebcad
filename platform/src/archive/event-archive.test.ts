import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOUR_MS } from '@hotloop/proto/time-units.ts';
import { describe, expect, it } from 'vitest';
import { openObjectStore } from '../object-store/open-object-store.ts';
import { type ArchivedEvent, eventLine, openEventArchive } from './event-archive.ts';

const START_MS = Date.UTC(2026, 0, 2, 3);

async function open() {
  const stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-archive-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const store = stack.use(openObjectStore(join(folder, 'store')));
  const archive = stack.use(await openEventArchive(store));
  const add = async (name: string, events: readonly ArchivedEvent[]) => {
    const path = join(folder, name);
    await writeFile(path, events.map(eventLine).join(''));
    return archive.addFile(path);
  };
  const keys = async () => {
    const found: string[] = [];
    for await (const { key } of store.list('')) found.push(key);
    return found;
  };
  const read = async (sinceMs = 0, untilMs = Number.MAX_SAFE_INTEGER, types?: string[]) => {
    const events: ArchivedEvent[] = [];
    for await (const batch of archive.read({ sinceMs, untilMs, ...(types ? { types } : {}) }))
      events.push(...batch);
    return events;
  };
  const openAnother = async () => stack.use(await openEventArchive(store));
  return { archive, openAnother, add, keys, read, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const event = (key: string, minutes: number, given: Partial<ArchivedEvent> = {}): ArchivedEvent => ({
  ...{ key, type: 'view', atMs: START_MS + minutes * 60_000, arrivalUs: minutes },
  entities: Object.assign(Object.create(null), { user: 'größe "1"' }),
  fields: Object.assign(Object.create(null), { price: 1.5, tags: ['a', 'b'], seen: true, name: 'x\n🛒' }),
  ...given,
});

describe('the archive of events', () => {
  it('stores events by type and hour and returns them unchanged, in order', async () => {
    await using opened = await open();
    const events = [
      event('c', 70),
      event('b', 1),
      event('a', 1, { arrivalUs: 0 }),
      event('d', 2, { type: 'buy' }),
    ];
    expect(await opened.add('s1.jsonl', events)).toBe(4);
    expect(await opened.keys()).toEqual([
      'events/buy/2026-01-02T03/s1.parquet',
      'events/view/2026-01-02T03/s1.parquet',
      'events/view/2026-01-02T04/s1.parquet',
    ]);
    expect(await opened.read()).toEqual([events[2], events[1], events[3], events[0]]);
    expect((await opened.read(START_MS + 2 * 60_000, START_MS + HOUR_MS)).map(({ key }) => key)).toEqual([
      'd',
    ]);
    expect((await opened.read(0, undefined, ['buy'])).map(({ key }) => key)).toEqual(['d']);
  });

  it('returns an event that was added twice only once; adding the same file again changes nothing', async () => {
    await using opened = await open();
    await opened.add('s1.jsonl', [event('a', 1), event('b', 2)]);
    await opened.add('s1.jsonl', [event('a', 1), event('b', 2)]);
    await opened.add('s2.jsonl', [event('b', 2, { arrivalUs: 99 }), event('c', 3)]);
    expect((await opened.read()).map(({ key, arrivalUs }) => [key, arrivalUs])).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ]);
  });

  it('compacts past hours, and loses nothing', async () => {
    await using opened = await open();
    for (const [index, key] of ['a', 'b', 'c'].entries())
      await opened.add(`s${index}.jsonl`, [event(key, index), event(`${key}2`, 60 + index)]);
    const before = await opened.read();
    expect(await opened.archive.compact(START_MS + HOUR_MS)).toBe(2);
    expect(await opened.keys()).toHaveLength(4);
    expect(await opened.read()).toEqual(before);
    expect(await opened.archive.compact(START_MS + HOUR_MS)).toBe(0);
  });

  it('returns every event of hours that are compacted during a read', async () => {
    await using opened = await open();
    for (const [index, key] of ['a', 'b', 'c'].entries())
      await opened.add(`s${index}.jsonl`, [event(key, index), event(`${key}2`, 60 + index)]);
    const before = await opened.read();
    const reader = opened.archive.read({ sinceMs: 0, untilMs: Number.MAX_SAFE_INTEGER });
    const found = [...((await reader.next()).value ?? [])];
    const another = await opened.openAnother();
    expect(await another.compact(START_MS + 24 * HOUR_MS)).toBeGreaterThan(2);
    for await (const batch of reader) found.push(...batch);
    expect(found).toEqual(before);
  });
});
