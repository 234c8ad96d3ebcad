import type { Attributes } from '../value.ts';

/** Events that are kept of one entity and event type at least, when there are so many; older ones make room. */
export const HISTORY_LENGTH = 16_384;

/** Newest events that functions look at which need the events themselves: of one entity, and of each candidate. */
export const HISTORY_EVENTS = 4096;
export const CANDIDATE_EVENTS = 256;

/** Events that `last(N)` looks through. */
export const LAST_EVENTS = 256;

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
  /** Then this stands for several events; the newest of them happened at `atMs`. Its `fields` are empty. */
  readonly summary?: EventSummary;
}

/** Several events of one slice of time. Keyed objects have no prototype. */
export interface EventSummary {
  readonly count: number;
  /** Of each field that is a number or a flag in some of the events. */
  readonly fields: Readonly<Record<string, FieldSummary>>;
}

/** What is kept of a field's numbers; flags count as 0 and 1. */
export interface FieldSummary {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
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
  /** Allows older events to come as summaries; a store need not. Then nothing within `limit` is left out. */
  readonly summarize?: SummaryPermit | undefined;
}

export interface SummaryPermit {
  /** So many of the newest events must be events; 0: none. */
  readonly events: number;
  /** Moments where windows begin: no summary holds events of both sides of one. */
  readonly edgesMs: readonly number[];
}
