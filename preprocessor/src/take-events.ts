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
    const firstUs = Math.max(lastUs + 1, nowMs * 1000);
    lastUs = firstUs + events.length - 1;
    const added = history.append(
      events.flatMap((event, index) => entriesOf(event, firstUs + index)),
      nowMs,
      signal,
    );
    // While Redis works.
    const lines = spool ? linesOf(events, firstUs) : NO_LINES;
    await added;
    await spool?.append(lines);
  };
}

function linesOf(events: readonly ParsedEvent[], firstUs: number): Buffer {
  let text = '';
  for (const [index, event] of events.entries()) text += eventLine({ ...event, arrivalUs: firstUs + index });
  return Buffer.from(text);
}
