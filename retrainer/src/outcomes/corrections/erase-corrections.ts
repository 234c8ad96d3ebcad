import { type Eraser, isDistinctive, quotedIn } from '@hotloop/platform/ports/erasure.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';

/** Erases corrections of the entity's predictions, and texts of uploads that contain its id. The uploads themselves stay. */
export function correctionEraser(database: Queryable): Eraser {
  return {
    what: 'corrections',
    async erase({ entity, predictions }) {
      const { kind, id } = entity;
      const { rowCount } = await database.query(
        `DELETE FROM correction WHERE prediction_id = ANY($1::uuid[]) OR ($2 = 'item' AND item = $3)
           OR ($4 AND (value = to_jsonb($3::text) OR note = $3))`,
        [predictions, kind, id, isDistinctive(id)],
      );
      await database.query(
        `UPDATE correction_upload SET problems = '[]' WHERE position($1 IN problems::text) > 0`,
        [quotedIn(entity, true)],
      );
      return rowCount ?? 0;
    },
  };
}
