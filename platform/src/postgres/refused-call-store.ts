import { fromPostgresError, type Queryable } from './pool.ts';

/** Number of calls in one minute that were rejected before they reached a model and therefore are not in the log. */
export interface RefusedCalls {
  readonly model: string;
  /** Milliseconds since 1970 of the minute's start. */
  readonly minute: number;
  readonly caller: string;
  readonly code: string;
  calls: number;
}

/** Adds counts. Rejects UNAVAILABLE while Postgres is unavailable. */
export async function addRefusedCalls(database: Queryable, counts: readonly RefusedCalls[]): Promise<void> {
  if (counts.length === 0) return;
  await database
    .query(
      `INSERT INTO refused_call AS known (model, minute, caller, code, calls)
       SELECT model, to_timestamp(minute / 1000.0), caller, code, calls
       FROM jsonb_to_recordset($1::jsonb) AS one (model text, minute double precision, caller text, code text, calls bigint)
       ORDER BY model, minute, caller, code
       ON CONFLICT (model, minute, caller, code) DO UPDATE SET calls = known.calls + EXCLUDED.calls`,
      [JSON.stringify(counts)],
    )
    .catch((cause: unknown) => {
      throw fromPostgresError(cause);
    });
}

/** Rejected calls of a model since a time, in ascending order of time; per minute, or per hour with `minute` as its start. */
export async function readRefusedCalls(
  database: Queryable,
  model: string,
  unit: 'hour' | 'minute',
  since: number,
): Promise<RefusedCalls[]> {
  const { rows } = await database.query<{ at_ms: string; caller: string; code: string; calls: string }>(
    `SELECT extract(epoch FROM date_trunc('${unit}', minute)) * 1000 AS at_ms, caller, code, sum(calls) AS calls
     FROM refused_call WHERE model = $1 AND minute >= to_timestamp($2 / 1000.0)
     GROUP BY 1, caller, code ORDER BY 1`,
    [model, since],
  );
  return rows.map(({ at_ms, caller, code, calls }) => ({
    ...{ model, minute: Number(at_ms), caller, code, calls: Number(calls) },
  }));
}

/** Deletes counts that are too old to train on. */
export async function dropOldRefusedCalls(database: Queryable, before: number): Promise<void> {
  await database.query('DELETE FROM refused_call WHERE minute < to_timestamp($1 / 1000.0)', [before]);
}
