import { openDuckDb, parquetSource } from '../duckdb/duckdb.ts';
import type { ObjectStore } from '../object-store/object-store.ts';
import type { Entity, Eraser } from '../ports/erasure.ts';
import {
  columnsOf,
  eraseFromParquet,
  eventsOf,
  holdsId,
  nameForgotten,
  rowsAbout,
  withLocalCopy,
} from './erase-parquet.ts';

const MEMORY_MB = 256;
/** Objects with their own rules for erasing. */
const OWN_RULES = /^(events|datasets|bundles|doctor)\//;

/** Other entities that have archived events with the id in a field; their history contains it too. */
export async function othersWithEventsOf(store: ObjectStore, entity: Entity): Promise<Entity[]> {
  await using database = await openDuckDb({ memoryMb: MEMORY_MB });
  const found = new Map<string, Entity>();
  for await (const { key } of store.list('events/')) {
    const rows = await withLocalCopy(database, store, key, (path) =>
      database.query(
        `SELECT DISTINCT entities FROM ${parquetSource([path])} WHERE ${holdsId('fields', entity)}`,
      ),
    );
    for (const row of rows)
      for (const [kind, id] of Object.entries(JSON.parse(String(row.entities)) as Record<string, string>))
        if (kind !== entity.kind || id !== entity.id) found.set(JSON.stringify([kind, id]), { kind, id });
  }
  return [...found.values()];
}

/**
 * Erases events from the archive, which the preprocessor fills: events of the entity, and events with its id in a
 * field.
 */
export function eventEraser(store: ObjectStore): Eraser {
  return {
    what: 'archivedEvents',
    async erase({ entity }) {
      await using database = await openDuckDb({ memoryMb: MEMORY_MB });
      let gone = 0;
      for await (const { key } of store.list('events/'))
        gone += await eraseFromParquet(database, store, key, eventsOf(entity));
      return gone;
    },
  };
}

/** Erases rows from all other tables in the store, such as the archived prediction log. */
export function archivedTableEraser(store: ObjectStore): Eraser {
  return {
    what: 'archivedRows',
    async erase(traces) {
      await using database = await openDuckDb({ memoryMb: MEMORY_MB });
      await nameForgotten(database, traces.predictions);
      let gone = 0;
      for await (const { key } of store.list('')) {
        if (!key.endsWith('.parquet') || OWN_RULES.test(key)) continue;
        const columns = await withLocalCopy(database, store, key, (path) =>
          columnsOf(database, parquetSource([path])),
        );
        const condition = rowsAbout(columns, traces);
        if (condition !== undefined) gone += await eraseFromParquet(database, store, key, condition);
      }
      return gone;
    },
  };
}
