import type { EventList } from '@hotloop/model/features/event-list.ts';
import type { HistoryEvent, HistoryRead } from '@hotloop/model/features/history.ts';
import type { Cancellation } from '@hotloop/platform/framed/cancellation.ts';

export {
  HISTORY_AGE_MS,
  HISTORY_LENGTH,
  type HistoryEvent,
  type HistoryRead,
} from '@hotloop/model/features/history.ts';

export interface HistoryEntry extends HistoryEvent {
  /** Kind of entity, such as user; `entityId` identifies the entity. */
  readonly entity: string;
  readonly entityId: string;
  readonly event: string;
  /** Time of arrival in microseconds; strictly increasing. Orders events with the same time. */
  readonly arrivalUs: number;
}

/**
 * Recent events of entities. A cache: it may be lost, and is refilled by events. Keeps the newest HISTORY_LENGTH
 * events of each (entity, id, event type) and at most a sixteenth more, no older than HISTORY_AGE_MS.
 *
 * Adapters: redis-history.ts, memory-history.ts. Both pass testing/history-contract.ts.
 */
export interface History {
  /**
   * Adds events, in any order of time. Idempotent by (entity, entityId, event, id): the first event is kept. Among
   * the older events of an entity with many events, duplicates are detected by id and time. Rejects with UNAVAILABLE
   * when the store cannot be reached; some of the entries may then have been added, so send all again.
   */
  append(entries: readonly HistoryEntry[], nowMs: number, signal?: AbortSignal): Promise<void>;
  /**
   * Answers all reads in one round trip, in their order, each newest first (equal times: the later arrival first); an
   * unknown entity has no events. If a read permits it, older events may be returned as summaries, which together
   * with the events omit nothing. Rejects with UNAVAILABLE when the store cannot be reached.
   */
  read(reads: readonly HistoryRead[], signal?: Cancellation): Promise<EventList[]>;
}

/** A history that can tell whether its contents were lost. */
export interface FillableHistory extends History {
  /**
   * False for a store that is new or was emptied, until `markFilled`. Rejects with UNAVAILABLE when it cannot be
   * reached.
   */
  isFilled(): Promise<boolean>;
  /** Marks the store as containing all events. The mark is lost with the store's contents. */
  markFilled(): Promise<void>;
}
