import { HotloopError } from '@hotloop/proto/errors.ts';
import {
  type FillableHistory,
  HISTORY_AGE_MS,
  HISTORY_LENGTH,
  type HistoryEntry,
  type HistoryEvent,
} from '../history.ts';

const NO_FIELDS = Object.freeze(Object.create(null) as HistoryEvent['fields']);

/** A history within this process: for tests, and for a node that has no Redis. */
export class MemoryHistory implements FillableHistory {
  readonly #lists = new Map<string, HistoryEntry[]>();
  #filled = false;
  #failing = false;

  /** While true the store behaves as one that is away. */
  set away(away: boolean) {
    this.#failing = away;
  }

  async append(entries: readonly HistoryEntry[], nowMs: number): Promise<void> {
    this.#refuseWhenAway();
    for (const entry of entries) {
      const { entity, entityId, event, id, atMs } = entry;
      if (atMs < nowMs - HISTORY_AGE_MS) continue;
      const key = keyOf(entity, entityId, event);
      const list = this.#lists.get(key) ?? [];
      if (list.some((other) => other.id === id)) continue;
      list.push(entry);
      const kept = list.filter((other) => other.atMs >= nowMs - HISTORY_AGE_MS).sort(newestFirst);
      this.#lists.set(key, kept.slice(0, HISTORY_LENGTH));
    }
  }

  async read(reads: Parameters<FillableHistory['read']>[0]): Promise<HistoryEvent[][]> {
    this.#refuseWhenAway();
    return reads.map(({ entity, entityId, event, sinceMs, limit, fields }) =>
      (this.#lists.get(keyOf(entity, entityId, event)) ?? [])
        .filter(({ atMs }) => atMs >= sinceMs)
        .slice(0, limit)
        .map(({ id, atMs, fields: found }) => ({ id, atMs, fields: fields ? found : NO_FIELDS })),
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

  /** Loses everything, as an emptied store does. */
  empty(): void {
    this.#lists.clear();
    this.#filled = false;
  }

  #refuseWhenAway(): void {
    if (this.#failing) throw new HotloopError('UNAVAILABLE', 'the history is away');
  }
}

function newestFirst(a: HistoryEntry, b: HistoryEntry): number {
  return b.atMs - a.atMs || b.arrivalUs - a.arrivalUs || (a.id < b.id ? 1 : -1);
}

function keyOf(entity: string, entityId: string, event: string): string {
  return JSON.stringify([entity, entityId, event]);
}
