import { type Eraser, fieldsOfKind, isDistinctive } from '@hotloop/platform/ports/erasure.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';

/**
 * Erases rows of reference tables: rows with the entity's id as their key, in tables that this kind of entity or no
 * kind uses; and rows with the id in a field (for a short id: only in a field named after its kind). `usedBy` returns
 * the kinds of entities that use a table.
 */
export function tableRowEraser(
  database: Queryable,
  usedBy: () => Promise<ReadonlyMap<string, ReadonlySet<string>>>,
): Eraser {
  return {
    what: 'tableRows',
    async erase({ entity: { kind, id } }) {
      const others = [...(await usedBy())].filter(([, kinds]) => !kinds.has(kind)).map(([table]) => table);
      const { rowCount } = await database.query(
        `DELETE FROM reference_row WHERE (key = $1 AND table_name <> ALL($2))
           OR EXISTS (SELECT FROM jsonb_each_text(fields) AS field (name, value)
             WHERE value = $1 AND ($3 OR name = ANY($4)))`,
        [id, others, isDistinctive(id), fieldsOfKind(kind)],
      );
      return rowCount ?? 0;
    },
  };
}
