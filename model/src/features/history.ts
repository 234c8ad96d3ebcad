import type { Attributes } from '../value.ts';

/** Minimum number of events kept per entity and event type; beyond it the oldest are dropped. */
export const HISTORY_LENGTH = 16_384;

/** Newest events that are read for functions that need the events themselves: of one entity, and of each candidate. */
export const HISTORY_EVENTS = 4096;
export const CANDIDATE_EVENTS = 256;

/** Number of events that `last(N)` searches. */
export const LAST_EVENTS = 256;

/** Maximum age of a kept event, in milliseconds. */
export const HISTORY_AGE_MS = 90 * 86_400_000;

/** Something that happened to an entity. */
export interface HistoryEvent {
  /** Unique within (entity, event type), without line breaks; adding the same id again has no effect. */
  readonly id: string;
  /** When it happened, milliseconds since 1970. */
  readonly atMs: number;
  /** Empty when the read did not request fields. */
  readonly fields: Attributes;
  /** If present, this entry represents several events; the newest of them happened at `atMs`, and `fields` is empty. */
  readonly summary?: EventSummary;
}

/** Several events of one time slice. Keyed objects have no prototype. */
export interface EventSummary {
  readonly count: number;
  /** For each field that is a number or a flag in some of the events. */
  readonly fields: Readonly<Record<string, FieldSummary>>;
}

/** Summary of a field's numbers; flags count as 0 and 1. */
export interface FieldSummary {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
}

/**
 * A read of one list of events: the newest `limit` events of a type of an entity that happened at or after `sinceMs`.
 */
export interface HistoryRead {
  readonly entity: string;
  readonly entityId: string;
  readonly event: string;
  readonly sinceMs: number;
  readonly limit: number;
  /** False omits the fields when only times matter. */
  readonly fields: boolean;
  /**
   * Permits older events to be returned as summaries; a store need not do so. If it does, no event within `limit` is
   * left out.
   */
  readonly summarize?: SummaryPermit | undefined;
}

export interface SummaryPermit {
  /** How many of the newest events must be returned as events; 0: none. */
  readonly events: number;
  /** Starts of windows: no summary contains events from both sides of one. */
  readonly edgesMs: readonly number[];
}
