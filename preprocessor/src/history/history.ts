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
  /** Kind of entity, such as user; `entityId` is which one. */
  readonly entity: string;
  readonly entityId: string;
  readonly event: string;
  /** When it was taken in, in microseconds; grows from event to event. Orders events of the same moment. */
  readonly arrivalUs: number;
}

/**
 * What happened to entities lately. A cache: it may be lost, and is filled again by events. Holds the newest
 * HISTORY_LENGTH events of each (entity, id, event type) and at most a sixteenth more, back to HISTORY_AGE_MS.
 *
 * Adapters: redis-history.ts, memory-history.ts. Both pass history-contract.ts.
 */
export interface History {
  /**
   * Adds events, in any order of time. Idempotent by (entity, entityId, event, id): the first one stays; once it is among the older events of
   * an entity that has many, it is known again by its id and its time. Rejects
   * with UNAVAILABLE when the store is away; then some of the entries may have been added, so send all again.
   */
  append(entries: readonly HistoryEntry[], nowMs: number, signal?: AbortSignal): Promise<void>;
  /**
   * Answers all reads in one round trip, in their order, each newest first (equal times: the later arrival first); an
   * unknown entity has no events. Where a read permits it, older events may come as summaries, which together with the events
   * leave nothing out. Rejects with UNAVAILABLE when the store is away.
   */
  read(reads: readonly HistoryRead[], signal?: Cancellation): Promise<EventList[]>;
}

/** A history that tells when it was lost. */
export interface FillableHistory extends History {
  /** False for a store that is new or was emptied, until `markFilled`. Rejects with UNAVAILABLE when it is away. */
  isFilled(): Promise<boolean>;
  /** Says that the store holds all events there are. Lost with the store's contents. */
  markFilled(): Promise<void>;
}
