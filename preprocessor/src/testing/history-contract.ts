import { eventsOf, NO_EVENTS } from '@hotloop/model/features/event-list.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { record } from '@hotloop/model/testing/manifests.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  HISTORY_AGE_MS,
  HISTORY_LENGTH,
  type History,
  type HistoryEntry,
  type HistoryEvent,
  type HistoryRead,
} from '../history/history.ts';

export interface OpenedHistory extends AsyncDisposable {
  readonly history: History;
}

const NOW_MS = Date.UTC(2026, 0, 15, 12);

/** What functions of history compute from the events since a given time. */
function totalOf(events: readonly Pick<HistoryEvent, 'atMs' | 'fields' | 'summary'>[], sinceMs: number) {
  const total = { count: 0, sum: 0, least: Number.POSITIVE_INFINITY, most: 0, bought: 0, rare: 0 };
  for (const { atMs, fields, summary } of events) {
    if (atMs < sinceMs) continue;
    const { price, bought, rare } = summary?.fields ?? {};
    total.count += summary?.count ?? 1;
    total.sum += price?.sum ?? Number(fields.price ?? 0);
    total.least = Math.min(total.least, price?.min ?? Number(fields.price ?? Number.POSITIVE_INFINITY));
    total.most = Math.max(total.most, price?.max ?? Number(fields.price ?? 0));
    total.bought += bought?.sum ?? Number(fields.bought ?? 0);
    total.rare += rare?.count ?? (fields.rare === undefined ? 0 : 1);
  }
  return total;
}

const entry = (id: string, given: Partial<HistoryEntry> = {}): HistoryEntry => ({
  entity: 'user',
  entityId: 'u1',
  event: 'view',
  id,
  atMs: NOW_MS - 1000,
  arrivalUs: NOW_MS * 1000,
  fields: record({}),
  ...given,
});

const readOf = (given: Partial<HistoryRead> = {}): HistoryRead => ({
  entity: 'user',
  entityId: 'u1',
  event: 'view',
  sinceMs: NOW_MS - HISTORY_AGE_MS,
  limit: HISTORY_LENGTH,
  fields: true,
  ...given,
});

async function idsOf(history: History, given: Partial<HistoryRead> = {}): Promise<string[]> {
  const [events = NO_EVENTS] = await history.read([readOf(given)]);
  return eventsOf(events).map(({ id }) => id);
}

async function eventsIn(history: History, read: HistoryRead): Promise<HistoryEvent[]> {
  return (await history.read([read])).flatMap(eventsOf);
}

export interface HistoryCase {
  readonly title: string;
  /** Rejects when the history, which is initially empty, violates the contract. */
  check(history: History): Promise<void>;
}

/** The contract of every history, whatever its storage. */
export const HISTORY_CONTRACT: readonly HistoryCase[] = [
  {
    title: 'returns the events of an entity newest first, in whatever order they arrived',
    async check(history) {
      const entries = [3, 1, 2].map((age) => entry(`e${age}`, { atMs: NOW_MS - age * 1000 }));
      await history.append(entries.slice(0, 2), NOW_MS);
      await history.append(entries.slice(2), NOW_MS);
      expect(await idsOf(history)).toEqual(['e1', 'e2', 'e3']);
    },
  },
  {
    title: 'orders events of the same moment by their arrival, the later first',
    async check(history) {
      const entries = ['b', 'a', 'ab'].map((id, index) => entry(id, { arrivalUs: NOW_MS * 1000 + index }));
      await history.append(entries, NOW_MS);
      await history.append(entries.toReversed(), NOW_MS);
      expect(await idsOf(history)).toEqual(['ab', 'a', 'b']);
    },
  },
  {
    title: 'returns times and fields unchanged',
    async check(history) {
      const fields = record({
        price: 12.5,
        tiny: 5e-324,
        name: 'größe 🛒\n"\\',
        seen: false,
        tags: ['a', 'b'],
        sizes: [1, 2.5],
        __proto__x: 'plain',
      });
      await history.append([entry('e', { fields, atMs: NOW_MS - 123 })], NOW_MS);
      const [event] = await eventsIn(history, readOf());
      expect(event).toEqual({ id: 'e', atMs: NOW_MS - 123, fields });
    },
  },
  {
    title: 'omits fields when they are not requested',
    async check(history) {
      await history.append([entry('e', { fields: record({ price: 1 }) })], NOW_MS);
      const [event] = await eventsIn(history, readOf({ fields: false }));
      expect(Object.keys(event?.fields ?? { x: 1 })).toEqual([]);
    },
  },
  {
    title: 'keeps the first event of an id, however often and in whatever form it arrives again',
    async check(history) {
      await history.append([entry('e', { fields: record({ n: 1 }) }), entry('e')], NOW_MS);
      await history.append([entry('e', { fields: record({ n: 2 }), atMs: NOW_MS - 5 })], NOW_MS);
      const events = await eventsIn(history, readOf());
      expect(events).toEqual([{ id: 'e', atMs: NOW_MS - 1000, fields: record({ n: 1 }) }]);
    },
  },
  {
    title: 'separates the same id by entity, entity id and event type',
    async check(history) {
      const entries = [
        entry('e'),
        entry('e', { entity: 'item' }),
        entry('e', { entityId: 'u2' }),
        entry('e', { event: 'buy' }),
      ];
      await history.append(entries, NOW_MS);
      const answers = await history.read(
        entries.map(({ entity, entityId, event }) => readOf({ entity, entityId, event })),
      );
      expect(answers.map((events) => events.length)).toEqual([1, 1, 1, 1]);
    },
  },
  {
    title: 'does not confuse entities, whatever their names and ids contain',
    async check(history) {
      const odd = ['a:b', 'a', 'a}:b', '{a', '', 'ids', 'a b\n', '🛒'];
      await history.append(
        odd.map((entityId, index) => entry(`e${index}`, { entityId })),
        NOW_MS,
      );
      const answers = await history.read(odd.map((entityId) => readOf({ entityId })));
      expect(answers.map((events) => eventsOf(events).map(({ id }) => id))).toEqual(
        odd.map((_, index) => [`e${index}`]),
      );
    },
  },
  {
    title: 'answers reads in order, with nothing for an unknown entity',
    async check(history) {
      await history.append([entry('e')], NOW_MS);
      const answers = await history.read([
        readOf({ entityId: 'nobody' }),
        readOf(),
        readOf({ event: 'buy' }),
      ]);
      expect(answers.map((events) => events.length)).toEqual([0, 1, 0]);
      expect(await history.read([])).toEqual([]);
    },
  },
  {
    title: 'returns at most the newest events up to the limit, and none before the requested time',
    async check(history) {
      const entries = [1, 2, 3, 4].map((age) => entry(`e${age}`, { atMs: NOW_MS - age * 1000 }));
      await history.append(entries, NOW_MS);
      expect(await idsOf(history, { limit: 2 })).toEqual(['e1', 'e2']);
      expect(await idsOf(history, { sinceMs: NOW_MS - 3000 })).toEqual(['e1', 'e2', 'e3']);
    },
  },
  {
    title: `keeps the newest ${HISTORY_LENGTH} events at least, and ignores a dropped old event that arrives again`,
    async check(history) {
      const count = HISTORY_LENGTH + 1100;
      const entries = Array.from({ length: count }, (_, age) =>
        entry(`e${age}`, { atMs: NOW_MS - age * 10_000, fields: record({ price: 1 }) }),
      );
      await history.append(entries.toReversed(), NOW_MS);
      const kept = await idsOf(history, { limit: 50_000, fields: false });
      expect(kept.length).toBeGreaterThanOrEqual(HISTORY_LENGTH);
      expect(kept.length).toBeLessThan(HISTORY_LENGTH * 1.07);
      expect(kept).toEqual(entries.slice(0, kept.length).map(({ id }) => id));
      await history.append(entries.slice(-3), NOW_MS);
      expect(await idsOf(history, { limit: 50_000, fields: false })).toEqual(kept);
      const permit = { events: 10, edgesMs: [] };
      const events = await eventsIn(history, readOf({ limit: 50_000, summarize: permit }));
      expect(totalOf(events, 0)).toMatchObject({ count: kept.length, sum: kept.length });
    },
  },
  {
    title:
      'counts every window exactly, summaries or not, whatever the order and repetition of thousands of events',
    async check(history) {
      const seed = 11;
      const random = new SeededRandom(seed);
      const entries = Array.from({ length: 1500 }, (_, index) =>
        entry(`e${index}`, {
          atMs: Math.floor(NOW_MS - random.uniform() * 20 * DAY_MS),
          arrivalUs: NOW_MS * 1000 + index,
          fields: record({
            price: Math.round(random.uniform() * 100),
            bought: index % 3 === 0,
            ...(index % 2 === 0 ? { rare: index } : {}),
          }),
        }),
      );
      for (const from of [0, 700, 300, 1200, 0])
        await history.append(entries.slice(from, from + 700), NOW_MS);
      // The same in small batches, some of them twice.
      for (let from = 0; from < entries.length; from += 30)
        await history.append(
          entries.slice(from, from + 40).map((one) => ({ ...one, entityId: 'u2' })),
          NOW_MS,
        );
      const windows = [3_600_000, DAY_MS, 7 * DAY_MS, 16.37 * DAY_MS, 90 * DAY_MS];
      const edgesMs = windows.map((window) => NOW_MS - window);
      for (const entityId of ['u1', 'u2'])
        for (const events of [0, 1, 40, 300]) {
          const read = readOf({ entityId, limit: HISTORY_LENGTH, summarize: { events, edgesMs } });
          const found = await eventsIn(history, read);
          const times = found.map(({ atMs }) => atMs);
          expect(found.slice(0, events).some(({ summary }) => summary)).toBe(false);
          expect(times).toEqual(times.toSorted((a, b) => b - a));
          for (const sinceMs of edgesMs)
            expect(
              totalOf(found, sinceMs),
              `seed ${seed}, ${entityId}, ${events} events, since ${sinceMs}`,
            ).toEqual(totalOf(entries, sinceMs));
        }
    },
  },
  {
    title: 'drops events older than the maximum age, relative to the time of writing',
    async check(history) {
      const nearly = entry('nearly', { atMs: NOW_MS - HISTORY_AGE_MS + 60_000 });
      await history.append([nearly, entry('older', { atMs: NOW_MS - HISTORY_AGE_MS - DAY_MS })], NOW_MS);
      expect(await idsOf(history, { sinceMs: 0 })).toEqual(['nearly']);
      await history.append([entry('new', { atMs: NOW_MS + DAY_MS })], NOW_MS + DAY_MS);
      expect(await idsOf(history, { sinceMs: 0 })).toEqual(['new']);
    },
  },
  {
    title: 'has the same contents after any batching, repetition and order of the same events',
    async check(history) {
      let run = 0;
      const batches = fc.array(
        fc.array(fc.record({ id: fc.integer({ min: 0, max: 20 }), age: fc.integer({ min: 0, max: 9 }) }), {
          maxLength: 8,
        }),
        { maxLength: 4 },
      );
      await fc.assert(
        fc.asyncProperty(batches, async (given) => {
          const entityId = `u${run++}`;
          const expected = new Map<string, number>();
          for (const batch of [...given, ...given.toReversed()]) {
            const entries = batch.map(({ id, age }) => entry(`e${id}`, { entityId, atMs: NOW_MS - age }));
            for (const { id, atMs } of entries) if (!expected.has(id)) expected.set(id, atMs);
            await history.append(entries, NOW_MS);
          }
          const events = await eventsIn(history, readOf({ entityId }));
          expect(new Map(events.map(({ id, atMs }) => [id, atMs]))).toEqual(expected);
          expect(events.map(({ atMs }) => atMs)).toEqual([...expected.values()].sort((a, b) => b - a));
        }),
        { numRuns: 40 },
      );
    },
  },
];

export function describeHistory(name: string, open: () => Promise<OpenedHistory>): void {
  describe(`${name} keeps the contract of a history`, () => {
    it.each(HISTORY_CONTRACT)('$title', async ({ check }) => {
      await using opened = await open();
      await check(opened.history);
    });
  });
}
