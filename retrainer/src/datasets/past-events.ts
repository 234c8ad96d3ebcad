import { eventList } from '@hotloop/model/features/event-list.ts';
import type { HistoryAnswers } from '@hotloop/model/features/feature-plan.ts';
import { HISTORY_AGE_MS, type HistoryRead } from '@hotloop/model/features/history.ts';
import type { EventArchive } from '@hotloop/platform/archive/event-archive.ts';
import { type EventsOf, entityKey, eventsOfEntities } from '../parity/events-of-entities.ts';

/** From when on an event counts: from its arrival, as it did in serving; or from its own time, for events that were imported later. */
export const EVENTS_COUNT_FROM = ['arrival', 'time'] as const;
export type EventsCountFrom = (typeof EVENTS_COUNT_FROM)[number];

export interface EntityTimes {
  readonly entities: Readonly<Record<string, string>>;
  /** Ids of the entity `item`. */
  readonly candidates: readonly string[];
  readonly atMs: number;
}

/** The events of some requests' entities, as far back as the oldest may look. Rejects as `eventsOfEntities` does. */
export function eventsOfRequests(
  archive: Pick<EventArchive, 'read'>,
  requests: readonly EntityTimes[],
  types: readonly string[],
  most?: number,
): Promise<EventsOf> {
  const wanted = new Set<string>();
  let oldestMs = Number.MAX_SAFE_INTEGER;
  for (const { entities, candidates, atMs } of requests) {
    for (const [entity, id] of Object.entries(entities)) wanted.add(entityKey(entity, id));
    for (const id of candidates) wanted.add(entityKey('item', id));
    oldestMs = Math.min(oldestMs, atMs);
  }
  const range = { sinceMs: oldestMs - HISTORY_AGE_MS, untilMs: Number.MAX_SAFE_INTEGER, types };
  return eventsOfEntities(archive, wanted, range, most);
}

/**
 * What the history would have answered at a moment: nothing that happened, or (with `arrival`) arrived, after it. Answers stand in
 * the order of the reads.
 */
export function historyAsOf(
  reads: readonly HistoryRead[],
  eventsOf: EventsOf,
  atMs: number,
  countFrom: EventsCountFrom,
): NonNullable<HistoryAnswers> {
  return reads.map(({ entity, entityId, event, sinceMs, limit }) => {
    const found = [];
    for (const { key, atMs: time, arrivalUs, fields } of eventsOf(entity, entityId, event)) {
      if (time > atMs || time < sinceMs || (countFrom === 'arrival' && arrivalUs > atMs * 1000)) continue;
      if (found.push({ id: key, atMs: time, fields }) === limit) break;
    }
    return eventList(found);
  });
}
