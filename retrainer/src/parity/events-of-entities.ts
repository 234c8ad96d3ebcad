import type { ArchivedEvent, ArchiveRange, EventArchive } from '@hotloop/platform/archive/event-archive.ts';

/** An entity's events of a type, newest first. */
export type EventsOf = (entity: string, id: string, type: string) => readonly ArchivedEvent[];

export const entityKey = (entity: string, id: string): string => JSON.stringify([entity, id]);

/** Reads the archived events of some entities, named by `entityKey`, into memory. */
export async function eventsOfEntities(
  archive: Pick<EventArchive, 'read'>,
  wanted: ReadonlySet<string>,
  range: ArchiveRange,
): Promise<EventsOf> {
  const lists = new Map<string, ArchivedEvent[]>();
  for await (const events of archive.read(range))
    for (const event of events)
      for (const [entity, id] of Object.entries(event.entities)) {
        const key = entityKey(entity, id);
        if (!wanted.has(key)) continue;
        const list = lists.get(`${key}\n${event.type}`);
        if (list) list.push(event);
        else lists.set(`${key}\n${event.type}`, [event]);
      }
  for (const list of lists.values()) list.sort((a, b) => b.atMs - a.atMs || b.arrivalUs - a.arrivalUs);
  return (entity, id, type) => lists.get(`${entityKey(entity, id)}\n${type}`) ?? [];
}
