import { HotloopError } from '@hotloop/proto/errors.ts';
import {
  HISTORY_AGE_MS,
  HISTORY_LENGTH,
  type History,
  type HistoryEntry,
  type HistoryEvent,
} from '../history.ts';

const NO_FIELDS = Object.freeze(Object.create(null) as HistoryEvent['fields']);

/** A history within this process: for tests, and for a node that has no Redis. */
export class MemoryHistory implements History {
  readonly #lists = new Map<string, HistoryEvent[]>();
  #failing = false;

  /** While true the store behaves as one that is away. */
  set away(away: boolean) {
    this.#failing = away;
  }

  async append(entries: readonly HistoryEntry[], nowMs: number): Promise<void> {
    this.#refuseWhenAway();
    for (const { entity, entityId, event, id, atMs, fields } of entries) {
      if (atMs < nowMs - HISTORY_AGE_MS) continue;
      const key = keyOf(entity, entityId, event);
      const list = this.#lists.get(key) ?? [];
      if (list.some((other) => other.id === id)) continue;
      list.push({ id, atMs, fields });
      const kept = list.filter((other) => other.atMs >= nowMs - HISTORY_AGE_MS).sort(newestFirst);
      this.#lists.set(key, kept.slice(0, HISTORY_LENGTH));
    }
  }

  async read(reads: Parameters<History['read']>[0]): Promise<HistoryEvent[][]> {
    this.#refuseWhenAway();
    return reads.map(({ entity, entityId, event, sinceMs, limit, fields }) =>
      (this.#lists.get(keyOf(entity, entityId, event)) ?? [])
        .filter(({ atMs }) => atMs >= sinceMs)
        .slice(0, limit)
        .map((found) => (fields ? found : { ...found, fields: NO_FIELDS })),
    );
  }

  #refuseWhenAway(): void {
    if (this.#failing) throw new HotloopError('UNAVAILABLE', 'the history is away');
  }
}

function newestFirst(a: HistoryEvent, b: HistoryEvent): number {
  if (a.atMs !== b.atMs) return b.atMs - a.atMs;
  return a.id < b.id ? 1 : -1;
}

function keyOf(entity: string, entityId: string, event: string): string {
  return JSON.stringify([entity, entityId, event]);
}
