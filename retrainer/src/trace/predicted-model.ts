import type { Queryable } from '@hotloop/platform/postgres/pool.ts';

/** The model of a prediction; null if it is not in the log. The id must be a UUID. */
export async function predictedModel(
  database: Queryable,
  predictionId: string,
): Promise<{ readonly model: string } | null> {
  const { rows } = await database.query<{ model: string }>(
    'SELECT model FROM prediction WHERE prediction_id = $1',
    [predictionId],
  );
  return rows[0] ?? null;
}
