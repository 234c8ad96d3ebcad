import { eventLine } from '@hotloop/platform/archive/event-archive.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { EventSpool } from './archive/event-spool.ts';
import type { History } from './history/history.ts';
import { entriesOf, type ParsedEvent } from './parse-event.ts';

/**
 * Accepts events, from Kafka or over HTTP: first into the history, then into the archive's spool. Resolves when they
 * are in both. When it rejects (UNAVAILABLE, RESOURCE_EXHAUSTED), send the same events again; existing events are
 * unchanged.
 */
export type TakeEvents = (events: readonly ParsedEvent[], signal?: AbortSignal) => Promise<void>;

const NO_LINES = Buffer.alloc(0);

export function takeEvents(history: History, spool: EventSpool | undefined, clock: Clock): TakeEvents {
  let lastUs = 0;
  return async (events, signal) => {
    const nowMs = clock.now();
    const arrived = events.map((event) => {
      lastUs = Math.max(lastUs + 1, nowMs * 1000);
      return { ...event, arrivalUs: lastUs };
    });
    const added = history.append(
      arrived.flatMap((event) => entriesOf(event, event.arrivalUs)),
      nowMs,
      signal,
    );
    // While Redis works.
    const lines = spool ? Buffer.from(arrived.map(eventLine).join('')) : NO_LINES;
    await added;
    await spool?.append(lines);
  };
}
