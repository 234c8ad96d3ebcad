import type { AttributeValue } from '../value.ts';
import type { EventSummary, HistoryEvent } from './history.ts';

/**
 * Events of one entity and type, newest first, in the form that functions of history read: columns, decoded when they are first asked
 * for. The arrays may be longer than `length`; what is beyond does not belong to the list.
 */
export interface EventList {
  readonly length: number;
  /** When each happened, in milliseconds since 1970; of a summary, its newest event. */
  readonly times: readonly number[];
  /** The summaries at their places; undefined when every entry is one event. */
  readonly summaries: readonly (EventSummary | undefined)[] | undefined;
  /** A field's numbers, flags as 0 and 1; NaN where the event has none, and for summaries. */
  numbers(field: string): readonly number[];
  event(index: number): HistoryEvent;
}

/** A list of events that are decoded already. */
export function eventList(events: readonly HistoryEvent[]): EventList {
  return events.length === 0 ? NO_EVENTS : new DecodedEvents(events);
}

/** The events of a list one by one. */
export function eventsOf(list: EventList): HistoryEvent[] {
  return Array.from({ length: list.length }, (_, index) => list.event(index));
}

/** A field as a number: true is 1, false is 0; NaN for anything else. */
export function numberOf(value: AttributeValue | undefined): number {
  if (typeof value === 'number') return value;
  return typeof value === 'boolean' ? Number(value) : Number.NaN;
}

/** A list without events. */
export const NO_EVENTS: EventList = {
  length: 0,
  times: [],
  summaries: undefined,
  numbers: () => [],
  event: noEvent,
};

function noEvent(index: number): never {
  throw new RangeError(`there is no event ${index}`);
}

class DecodedEvents implements EventList {
  readonly length: number;
  readonly times: readonly number[];
  readonly summaries: readonly (EventSummary | undefined)[] | undefined;
  readonly #events: readonly HistoryEvent[];

  constructor(events: readonly HistoryEvent[]) {
    this.length = events.length;
    this.times = events.map(({ atMs }) => atMs);
    const hasSummaries = events.some(({ summary }) => summary !== undefined);
    this.summaries = hasSummaries ? events.map(({ summary }) => summary) : undefined;
    this.#events = events;
  }

  numbers(field: string): readonly number[] {
    return this.#events.map(({ fields }) => numberOf(fields[field]));
  }

  event(index: number): HistoryEvent {
    return this.#events[index] as HistoryEvent;
  }
}
