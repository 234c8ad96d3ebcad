import { eventList, eventsOf } from '@hotloop/model/features/event-list.ts';
import { describe, expect, it } from 'vitest';
import type { History, HistoryEntry } from '../history/history.ts';
import { MemoryHistory } from '../history/memory-history.ts';
import { HISTORY_CONTRACT } from './history-contract.ts';

type Planted = (sound: History) => History;

/** A history that changes its input or its answers. */
const changed =
  (change: {
    append?: (entries: readonly HistoryEntry[]) => HistoryEntry[];
    read?: (answers: Awaited<ReturnType<History['read']>>) => Awaited<ReturnType<History['read']>>;
  }): Planted =>
  (sound) => ({
    append: (entries, nowMs) => sound.append(change.append?.(entries) ?? entries, nowMs),
    async read(reads) {
      const answers = await sound.read(reads);
      return change.read?.(answers) ?? answers;
    },
  });

describe('the contract of a history', () => {
  let made = 0;
  const planted: [string, Planted][] = [
    [
      'stores an event twice',
      changed({ append: (entries) => entries.map((entry) => ({ ...entry, id: `${made++}` })) }),
    ],
    ['loses the last of a batch', changed({ append: (entries) => entries.slice(0, -1) })],
    [
      'returns oldest first',
      changed({ read: (answers) => answers.map((events) => eventList(eventsOf(events).toReversed())) }),
    ],
    ['returns answers in another order', changed({ read: (answers) => answers.toReversed() })],
    [
      'returns one too few',
      changed({ read: (answers) => answers.map((events) => eventList(eventsOf(events).slice(0, 3))) }),
    ],
    [
      'loses fractions',
      changed({
        append: (entries) =>
          entries.map((entry) => ({
            ...entry,
            fields: JSON.parse(
              JSON.stringify(entry.fields, (_, value) =>
                typeof value === 'number' ? Math.round(value) : value,
              ),
            ),
          })),
      }),
    ],
    [
      'mixes up event types',
      changed({ append: (entries) => entries.map((entry) => ({ ...entry, event: 'view' })) }),
    ],
    [
      'mixes up entities',
      changed({ append: (entries) => entries.map((entry) => ({ ...entry, entityId: 'u1' })) }),
    ],
    [
      'lets the last writer win',
      (sound) => {
        const last = new Map<string, HistoryEntry>();
        return {
          append: async (entries, nowMs) => {
            for (const entry of entries)
              last.set([entry.entity, entry.entityId, entry.event, entry.id].join(), entry);
            await sound.append(entries, nowMs);
          },
          read: async (reads) =>
            (await sound.read(reads)).map((events, index) => {
              const read = reads[index];
              return eventList(
                eventsOf(events).map((event) => {
                  const entry = last.get([read?.entity, read?.entityId, read?.event, event.id].join());
                  return { ...event, atMs: entry?.atMs ?? event.atMs };
                }),
              );
            }),
        };
      },
    ],
    [
      'keeps too many',
      (sound) => ({
        ...changed({})(sound),
        read: (reads) => sound.read(reads.map((read) => ({ ...read, sinceMs: 0 }))),
      }),
    ],
    [
      'ignores the maximum age',
      (sound) => ({ append: (entries) => sound.append(entries, 0), read: (reads) => sound.read(reads) }),
    ],
  ];

  it.each(planted)('detects one that %s', async (_, plant) => {
    const broken: string[] = [];
    for (const { title, check } of HISTORY_CONTRACT)
      await check(plant(new MemoryHistory())).catch(() => broken.push(title));
    expect(broken).not.toEqual([]);
  });
});
