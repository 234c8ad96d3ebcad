import { type Eraser, jsonValue } from '@hotloop/platform/ports/erasure.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';

/** Erases outcomes of the entity's predictions, with its key, or with its id as an attribute; and where a source quotes it. */
export function outcomeEraser(database: Queryable): Eraser {
  return {
    what: 'outcomes',
    async erase({ entity: { kind, id }, predictions }) {
      const { rowCount } = await database.query(
        `DELETE FROM outcome WHERE prediction_id = ANY($1::uuid[]) OR keys @> jsonb_build_object($2::text, $3::text)
           OR position($4 IN attributes::text) > 0 OR value = to_jsonb($3::text)`,
        [predictions, kind, id, jsonValue(id)],
      );
      await database.query(
        `UPDATE outcome_source SET problems = '[]', error = ''
         WHERE position($1 IN problems::text) > 0 OR position($1 IN error) > 0`,
        [id],
      );
      return rowCount ?? 0;
    },
  };
}
