import type { Cancellation } from '@hotloop/platform/ports/cancellation.ts';
import type { Attributes } from '@hotloop/platform/ports/value.ts';

/** Most events that are kept of one entity and event type; older ones make room. */
export const HISTORY_LENGTH = 256;

/** How long an event is kept at most, in milliseconds. */
export const HISTORY_AGE_MS = 90 * 86_400_000;

/** Something that happened to an entity. */
export interface HistoryEvent {
  /** Unique within (entity, event type), without line breaks; the same id again changes nothing. */
  readonly id: string;
  /** When it happened, milliseconds since 1970. */
  readonly atMs: number;
  /** Empty when the read did not ask for fields. */
  readonly fields: Attributes;
}

export interface HistoryEntry extends HistoryEvent {
  /** Kind of entity, such as user; `entityId` is which one. */
  readonly entity: string;
  readonly entityId: string;
  readonly event: string;
}

/** One list of events: the newest `limit` of an entity's events of a type that happened at or after `sinceMs`. */
export interface HistoryRead {
  readonly entity: string;
  readonly entityId: string;
  readonly event: string;
  readonly sinceMs: number;
  readonly limit: number;
  /** False saves the fields when only times matter. */
  readonly fields: boolean;
}

/**
 * What happened to entities lately. A cache: it may be lost, and is filled again by events. Holds at most
 * HISTORY_LENGTH events of each (entity, id, event type), none older than HISTORY_AGE_MS.
 *
 * Adapters: redis-history.ts, memory-history.ts. Both pass history-contract.ts.
 */
export interface History {
  /**
   * Adds events, in any order of time. Idempotent by (entity, entityId, event, id): the first one stays. Rejects
   * with UNAVAILABLE when the store is away; then some of the entries may have been added, so send all again.
   */
  append(entries: readonly HistoryEntry[], nowMs: number, signal?: AbortSignal): Promise<void>;
  /**
   * Answers all reads in one round trip, in their order, each newest first (equal times: larger id first); an
   * unknown entity has no events. Rejects with UNAVAILABLE when the store is away.
   */
  read(reads: readonly HistoryRead[], signal?: Cancellation): Promise<HistoryEvent[][]>;
}
