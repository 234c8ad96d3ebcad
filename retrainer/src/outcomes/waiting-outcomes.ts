import { fromPostgresError, type Queryable } from '@hotloop/platform/postgres/pool.ts';

/** What one look settles at most, so that it stays short. */
const MOST_AT_ONCE = 5_000;

// Input: model, most rows. Effect: takes those off the list whose prediction has arrived. Output: how many.
const SETTLE = `
  DELETE FROM outcome_waiting USING (
    SELECT waiting.sequence FROM (
      SELECT sequence, prediction_id FROM outcome_waiting WHERE model = $1 ORDER BY sequence DESC LIMIT $2
    ) AS waiting
    WHERE EXISTS (SELECT 1 FROM prediction WHERE prediction.prediction_id = waiting.prediction_id)
  ) AS arrived
  WHERE outcome_waiting.sequence = arrived.sequence`;

/**
 * How many outcomes of a model name a prediction that is not in Postgres. Predictions arrive there a moment after they are
 * answered, so outcomes may come first; those whose prediction has come since are taken off the list here, the newest first.
 *
 * @param withinMs counts only outcomes that came within this time: their predictions may still be on their way.
 */
export async function countWaiting(
  database: Queryable,
  model: string,
  withinMs: number | null = null,
): Promise<number> {
  try {
    await database.query(SETTLE, [model, MOST_AT_ONCE]);
    const { rows } = await database.query<{ waiting: string }>(
      `SELECT count(*) AS waiting FROM outcome_waiting
       WHERE model = $1 AND ($2::double precision IS NULL OR since > now() - make_interval(secs => $2 / 1000.0))`,
      [model, withinMs],
    );
    return Number(rows[0]?.waiting ?? 0);
  } catch (error) {
    throw fromPostgresError(error);
  }
}
