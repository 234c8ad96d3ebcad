import type { ArchivedEvent, ArchiveRange, EventArchive } from '@hotloop/platform/archive/event-archive.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

/** An entity's events of a type, newest first. */
export type EventsOf = (entity: string, id: string, type: string) => readonly ArchivedEvent[];

export const entityKey = (entity: string, id: string): string => JSON.stringify([entity, id]);

/** Maximum number of events in memory; about 1 GiB. */
const MOST_EVENTS = 2_000_000;

/**
 * Reads the archived events of some entities, identified by `entityKey`, into memory. Rejects RESOURCE_EXHAUSTED (too_many_events) if
 * there are more than `most`; then ask for fewer entities.
 */
export async function eventsOfEntities(
  archive: Pick<EventArchive, 'read'>,
  wanted: ReadonlySet<string>,
  range: ArchiveRange,
  most = MOST_EVENTS,
): Promise<EventsOf> {
  const lists = new Map<string, ArchivedEvent[]>();
  let kept = 0;
  for await (const events of archive.read(range))
    for (const event of events)
      for (const [entity, id] of Object.entries(event.entities)) {
        const key = entityKey(entity, id);
        if (!wanted.has(key)) continue;
        if (++kept > most)
          throw new HotloopError('RESOURCE_EXHAUSTED', `more than ${most} events belong to these entities`, {
            reason: 'too_many_events',
          });
        const list = lists.get(`${key}\n${event.type}`);
        if (list) list.push(event);
        else lists.set(`${key}\n${event.type}`, [event]);
      }
  for (const list of lists.values()) list.sort((a, b) => b.atMs - a.atMs || b.arrivalUs - a.arrivalUs);
  return (entity, id, type) => lists.get(`${entityKey(entity, id)}\n${type}`) ?? [];
}
