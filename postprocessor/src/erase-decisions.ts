import type { Eraser } from '@hotloop/platform/ports/erasure.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';

/** Erases rows of the decision log, which the postprocessor writes. */
export function decisionEraser(database: Queryable): Eraser {
  return {
    what: 'decisions',
    async erase({ predictions }) {
      const { rowCount } = await database.query(
        'DELETE FROM decision WHERE prediction_id = ANY($1::uuid[])',
        [predictions],
      );
      return rowCount ?? 0;
    },
  };
}
