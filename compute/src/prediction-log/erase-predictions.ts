import type { Entity, Eraser } from '@hotloop/platform/ports/erasure.ts';
import { fromPostgresError, type Queryable } from '@hotloop/platform/postgres/pool.ts';

/** Predictions for an entity, with it as a candidate, or whose text tensors contain its id. Scans the whole log. */
export async function findPredictionsOf(database: Queryable, { kind, id }: Entity): Promise<string[]> {
  try {
    const { rows } = await database.query<{ prediction_id: string }>(
      `SELECT prediction_id FROM prediction WHERE entities @> jsonb_build_object($1::text, $2::text)
         OR ($1 = 'item' AND $2 = ANY(candidates))
         OR (input_spec::text LIKE '%BYTES%' AND position($3::bytea IN features) > 0)`,
      [kind, id, Buffer.from(id)],
    );
    return rows.map((row) => row.prediction_id);
  } catch (error) {
    throw fromPostgresError(error);
  }
}

/** Erases rows of the prediction log, which compute writes. */
export function predictionEraser(database: Queryable): Eraser {
  return {
    what: 'predictions',
    async erase({ predictions }) {
      const { rowCount } = await database.query(
        'DELETE FROM prediction WHERE prediction_id = ANY($1::uuid[])',
        [predictions],
      );
      return rowCount ?? 0;
    },
  };
}
