import type { Attributes } from '../value.ts';

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
