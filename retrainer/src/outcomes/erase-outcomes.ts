import { type Eraser, isDistinctive, jsonTextsOf, quotedIn } from '@hotloop/platform/ports/erasure.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';

/** Erases outcomes of the entity's predictions, with its key, or with its id as an attribute; and errors of SQL sources that quote the id. */
export function outcomeEraser(database: Queryable): Eraser {
  return {
    what: 'outcomes',
    async erase({ entity, predictions }) {
      const { kind, id } = entity;
      const { rowCount } = await database.query(
        `DELETE FROM outcome WHERE prediction_id = ANY($1::uuid[]) OR keys @> jsonb_build_object($2::text, $3::text)
           OR EXISTS (SELECT FROM unnest($4::text[]) AS theirs (text) WHERE position(text IN attributes::text) > 0)
           OR ($5 AND value = to_jsonb($3::text))`,
        [predictions, kind, id, jsonTextsOf(entity), isDistinctive(id)],
      );
      await database.query(
        `UPDATE outcome_source SET problems = '[]', error = ''
         WHERE position($1 IN problems::text) > 0 OR position($2 IN error) > 0`,
        [quotedIn(entity, true), quotedIn(entity, false)],
      );
      return rowCount ?? 0;
    },
  };
}
