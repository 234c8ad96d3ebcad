import { type EventList, eventList } from '@hotloop/model/features/event-list.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import {
  type FillableHistory,
  HISTORY_AGE_MS,
  HISTORY_LENGTH,
  type HistoryEntry,
  type HistoryEvent,
} from './history.ts';

const NO_FIELDS = Object.freeze(Object.create(null) as HistoryEvent['fields']);

interface KeptEvents {
  readonly events: Map<string, HistoryEntry>;
  /** Time of the newest dropped event; older ones are not accepted again. */
  floorMs: number;
}

/** A history within this process: for tests, and for a node without Redis. */
export class MemoryHistory implements FillableHistory {
  readonly #lists = new Map<string, KeptEvents>();
  #filled = false;
  #failing = false;

  /** While true, the store behaves as if it could not be reached. */
  set away(away: boolean) {
    this.#failing = away;
  }

  async append(entries: readonly HistoryEntry[], nowMs: number): Promise<void> {
    this.#refuseWhenAway();
    for (const entry of entries) {
      const { entity, entityId, event, id, atMs } = entry;
      if (atMs < nowMs - HISTORY_AGE_MS) continue;
      const key = keyOf(entity, entityId, event);
      const list = this.#lists.get(key) ?? { events: new Map<string, HistoryEntry>(), floorMs: 0 };
      this.#lists.set(key, list);
      if (list.events.has(id) || atMs <= list.floorMs) continue;
      list.events.set(id, entry);
      if (list.events.size > HISTORY_LENGTH * 1.0625) this.#dropOldest(list);
    }
    for (const list of this.#lists.values())
      for (const [id, { atMs }] of list.events) if (atMs < nowMs - HISTORY_AGE_MS) list.events.delete(id);
  }

  async read(reads: Parameters<FillableHistory['read']>[0]): Promise<EventList[]> {
    this.#refuseWhenAway();
    return reads.map(({ entity, entityId, event, sinceMs, limit, fields }) =>
      eventList(
        [...(this.#lists.get(keyOf(entity, entityId, event))?.events.values() ?? [])]
          .filter(({ atMs }) => atMs >= sinceMs)
          .sort(newestFirst)
          .slice(0, limit)
          .map(({ id, atMs, fields: found }) => ({ id, atMs, fields: fields ? found : NO_FIELDS })),
      ),
    );
  }

  async isFilled(): Promise<boolean> {
    this.#refuseWhenAway();
    return this.#filled;
  }

  async markFilled(): Promise<void> {
    this.#refuseWhenAway();
    this.#filled = true;
  }

  /** Deletes everything, like an emptied store. */
  empty(): void {
    this.#lists.clear();
    this.#filled = false;
  }

  #dropOldest(list: KeptEvents): void {
    const sorted = [...list.events.values()].sort(newestFirst);
    for (const { id, atMs } of sorted.slice(HISTORY_LENGTH)) {
      list.events.delete(id);
      list.floorMs = Math.max(list.floorMs, atMs);
    }
  }

  #refuseWhenAway(): void {
    if (this.#failing) throw new HotloopError('UNAVAILABLE', 'the history cannot be reached');
  }
}

function newestFirst(a: HistoryEntry, b: HistoryEntry): number {
  return b.atMs - a.atMs || b.arrivalUs - a.arrivalUs || (a.id < b.id ? 1 : -1);
}

function keyOf(entity: string, entityId: string, event: string): string {
  return JSON.stringify([entity, entityId, event]);
}
