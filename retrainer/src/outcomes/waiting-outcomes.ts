import {
  fromPostgresError,
  type Pool,
  type Queryable,
  transaction,
} from '@hotloop/platform/postgres/pool.ts';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import { CLOCK_SKEW_MS } from '../datasets/join.ts';

/** Limits of one pass, so that it stays short. */
const MOST_NAMED = 5_000;
const MOST_KEYED = 100_000;

/** Seconds after which keyed outcomes without a match are looked up again; after the last one they are not. */
const LOOK_AGAIN_S = [2, 10, 60, 600, 3_600, 86_400];

// Input: model, maximum of rows. Effect: removes outcomes whose prediction has arrived from the list.
const SETTLE_NAMED = `
  DELETE FROM outcome_waiting USING (
    SELECT waiting.sequence FROM (
      SELECT sequence, prediction_id FROM outcome_waiting WHERE model = $1 AND prediction_id IS NOT NULL
      ORDER BY sequence DESC LIMIT $2
    ) AS waiting
    WHERE EXISTS (SELECT 1 FROM prediction WHERE prediction.prediction_id = waiting.prediction_id)
  ) AS arrived
  WHERE outcome_waiting.sequence = arrived.sequence`;

// Input: model, maximum of rows. Output: keyed outcomes that are due, with their times; locked, so that no other retrainer looks them up.
const DUE_KEYED = `
  SELECT sequence, extract(epoch FROM occurred_at)::double precision * 1000 AS occurred_ms
  FROM outcome_waiting JOIN outcome USING (sequence)
  WHERE outcome_waiting.model = $1 AND outcome_waiting.prediction_id IS NULL AND look_at <= now()
  ORDER BY sequence DESC LIMIT $2 FOR UPDATE OF outcome_waiting SKIP LOCKED`;

// Input: model, sequences, bounds of the predictions' times in milliseconds, the first id of that time. Output: those that match.
const MATCHED = `
  SELECT DISTINCT sequence FROM outcome_match_by_keys
  WHERE model = $1 AND sequence = ANY ($2::bigint[]) AND prediction_id >= $5
    AND at BETWEEN to_timestamp($3 / 1000.0) AND to_timestamp($4 / 1000.0)`;

const LOOK_AGAIN = `
  UPDATE outcome_waiting SET looks = looks + 1,
    look_at = coalesce(now() + make_interval(secs => ($2::integer[])[looks + 1]), 'infinity')
  WHERE sequence = ANY ($1::bigint[])`;

/**
 * Looks once for the predictions of a model's waiting outcomes and removes outcomes with a match from the list. Predictions arrive in
 * Postgres a moment after the answer, so outcomes may come first. Returns how many keyed outcomes were looked up: if that is
 * `MOST_KEYED`, there are more.
 */
export async function settleOutcomes(pool: Pool, model: string, windowMs: number): Promise<number> {
  try {
    await pool.query(SETTLE_NAMED, [model, MOST_NAMED]);
    return await transaction(pool, async (client) => {
      const { rows: due } = await client.query<{ sequence: string; occurred_ms: number }>(DUE_KEYED, [
        model,
        MOST_KEYED,
      ]);
      if (due.length === 0) return 0;
      const times = due.map((row) => row.occurred_ms);
      const from = Math.max(0, times.reduce((a, b) => Math.min(a, b)) - windowMs);
      const to = times.reduce((a, b) => Math.max(a, b)) + CLOCK_SKEW_MS;
      const sequences = due.map((row) => row.sequence);
      // One pass over the predictions instead of one per outcome.
      await client.query('SET LOCAL enable_nestloop = off');
      const { rows: matched } = await client.query<{ sequence: string }>(MATCHED, [
        model,
        sequences,
        from,
        to,
        firstPredictionIdAt(Math.floor(from)),
      ]);
      const found = new Set(matched.map((row) => row.sequence));
      await client.query('SET LOCAL enable_nestloop = on');
      await client.query('DELETE FROM outcome_waiting WHERE sequence = ANY ($1::bigint[])', [[...found]]);
      await client.query(LOOK_AGAIN, [sequences.filter((sequence) => !found.has(sequence)), LOOK_AGAIN_S]);
      return due.length;
    });
  } catch (error) {
    throw fromPostgresError(error);
  }
}

/** Those of the given models that have outcomes that are due to be looked up. */
export async function modelsWaiting(database: Queryable, models: readonly string[]): Promise<string[]> {
  const { rows } = await database.query<{ model: string }>(
    `SELECT name AS model FROM unnest($1::text[]) AS registered (name) WHERE EXISTS (
       SELECT 1 FROM outcome_waiting WHERE outcome_waiting.model = name AND prediction_id IS NOT NULL)
     UNION SELECT DISTINCT model FROM outcome_waiting WHERE prediction_id IS NULL AND look_at <= now()`,
    [models],
  );
  return rows.map((row) => row.model);
}

/**
 * Number of recent outcomes whose prediction is not in Postgres, and may still arrive. Outcomes whose
 * prediction has arrived are removed from the list first.
 */
export async function countWaiting(database: Queryable, model: string, withinMs: number): Promise<number> {
  try {
    await database.query(SETTLE_NAMED, [model, MOST_NAMED]);
    const { rows } = await database.query<{ waiting: string }>(
      `SELECT count(*) AS waiting FROM outcome_waiting
       WHERE model = $1 AND prediction_id IS NOT NULL AND since > now() - make_interval(secs => $2 / 1000.0)`,
      [model, withinMs],
    );
    return Number(rows[0]?.waiting ?? 0);
  } catch (error) {
    throw fromPostgresError(error);
  }
}

/** Number of labels that arrived in a period, and of those without a prediction so far. Milliseconds since 1970. */
export async function countUnmatched(
  database: Queryable,
  model: string,
  since: number,
  until: number,
): Promise<{ readonly outcomes: number; readonly unmatched: number }> {
  const { rows } = await database
    .query<{ outcomes: string; unmatched: string }>(
      `SELECT count(*) AS outcomes, count(waiting.sequence) AS unmatched
       FROM outcome LEFT JOIN outcome_waiting waiting USING (sequence)
       WHERE outcome.model = $1 AND outcome.kind = 'label'
         AND received_at >= to_timestamp($2 / 1000.0) AND received_at < to_timestamp($3 / 1000.0)`,
      [model, since, until],
    )
    .catch((error: unknown) => {
      throw fromPostgresError(error);
    });
  return { outcomes: Number(rows[0]!.outcomes), unmatched: Number(rows[0]!.unmatched) };
}
