import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import type { HourOfCalls } from '../signals/traffic.ts';

/** Calls of one minute, by version, variant and caller. */
export interface CallCount {
  readonly model: string;
  readonly version: number;
  readonly variant: string;
  readonly caller: string;
  /** Milliseconds since 1970 of its start. */
  readonly minute: number;
  calls: number;
  errors: number;
  degraded: number;
  readonly codes: Record<string, number>;
}

/** Adds counts to the stored ones, inside the transaction that moves the position. */
export async function addCalls(database: Queryable, counts: readonly CallCount[]): Promise<void> {
  if (counts.length === 0) return;
  await database.query(
    `INSERT INTO monitor_calls AS known (model, version, variant, caller, minute, calls, errors, degraded, codes)
     SELECT model, version, variant, caller, to_timestamp(minute / 1000.0), calls, errors, degraded, codes
     FROM jsonb_to_recordset($1::jsonb) AS one (model text, version integer, variant text, caller text,
       minute double precision, calls bigint, errors bigint, degraded bigint, codes jsonb)
     ON CONFLICT (model, minute, version, variant, caller) DO UPDATE SET calls = known.calls + EXCLUDED.calls,
       errors = known.errors + EXCLUDED.errors, degraded = known.degraded + EXCLUDED.degraded,
       codes = (SELECT coalesce(jsonb_object_agg(code, total), '{}') FROM (
         SELECT code, sum(count::bigint) AS total FROM (
           SELECT * FROM jsonb_each_text(known.codes) UNION ALL SELECT * FROM jsonb_each_text(EXCLUDED.codes)
         ) AS both_codes (code, count) GROUP BY code) summed)`,
    [JSON.stringify(counts)],
  );
}

/** Calls by hour or by minute; copies sent to a shadow version are not counted. */
export async function readCalls(
  database: Queryable,
  model: string,
  unit: 'hour' | 'minute',
  since: number,
  until: number,
): Promise<HourOfCalls[]> {
  const { rows } = await database.query<{ at_ms: string; calls: string; errors: string }>(
    `SELECT extract(epoch FROM date_trunc('${unit}', minute)) * 1000 AS at_ms, sum(calls) AS calls, sum(errors) AS errors
     FROM monitor_calls WHERE model = $1 AND variant <> 'shadow'
       AND minute >= to_timestamp($2 / 1000.0) AND minute < to_timestamp($3 / 1000.0)
     GROUP BY 1 ORDER BY 1`,
    [model, since, until],
  );
  return rows.map((row) => ({
    at: Number(row.at_ms),
    calls: Number(row.calls),
    errors: Number(row.errors),
  }));
}

export interface CallSummary {
  /** 0 for calls that reached no version. */
  readonly version: number;
  /** `refused` for calls that the front door refused. */
  readonly variant: string;
  readonly caller: string;
  readonly calls: number;
  readonly errors: number;
  readonly degraded: number;
  readonly codes: Readonly<Record<string, number>>;
}

/** Calls since a given time by version, variant and caller. */
export async function summariseCalls(
  database: Queryable,
  model: string,
  since: number,
): Promise<CallSummary[]> {
  const { rows } = await database.query<{
    version: number;
    variant: string;
    caller: string;
    calls: string;
    errors: string;
    degraded: string;
    codes: Record<string, number>;
  }>(
    `SELECT version, variant, caller, sum(calls) AS calls, sum(errors) AS errors, sum(degraded) AS degraded,
       (SELECT coalesce(jsonb_object_agg(code, total), '{}') FROM (
          SELECT code, sum(count::bigint) AS total FROM monitor_calls again, jsonb_each_text(again.codes) AS one (code, count)
          WHERE again.model = $1 AND again.minute >= to_timestamp($2 / 1000.0) AND again.version = monitor_calls.version
            AND again.variant = monitor_calls.variant AND again.caller = monitor_calls.caller
          GROUP BY code) summed) AS codes
     FROM monitor_calls WHERE model = $1 AND minute >= to_timestamp($2 / 1000.0)
     GROUP BY version, variant, caller ORDER BY sum(calls) DESC LIMIT 200`,
    [model, since],
  );
  return rows.map((row) => ({
    ...row,
    calls: Number(row.calls),
    errors: Number(row.errors),
    degraded: Number(row.degraded),
  }));
}

/** Time of the last call that has been read from the log; null if there is none. */
export async function lastCallAt(database: Queryable, model: string): Promise<number | null> {
  const { rows } = await database.query<{ at_ms: string | null }>(
    `SELECT extract(epoch FROM max(at)) * 1000 AS at_ms FROM prediction
     WHERE model = $1 AND variant <> 'shadow' AND at >= (
       SELECT coalesce(max(minute), now()) FROM monitor_calls WHERE model = $1 AND variant <> 'shadow')`,
    [model],
  );
  const ms = rows[0]?.at_ms;
  return ms === null || ms === undefined ? null : Number(ms);
}

/** Calls of one caller by hour, and the minute of its last call. */
export interface CallerHours {
  readonly caller: string;
  readonly hours: readonly HourOfCalls[];
  readonly lastAt: number;
}

/** Calls by hour of the twenty most active callers. Callers beyond fifty per minute are counted as `other` and left out. */
export async function readCallerHours(
  database: Queryable,
  model: string,
  since: number,
): Promise<CallerHours[]> {
  const { rows } = await database.query<{ caller: string; at_ms: string; calls: string; last_ms: string }>(
    `SELECT caller, extract(epoch FROM date_trunc('hour', minute)) * 1000 AS at_ms, sum(calls) AS calls,
       extract(epoch FROM max(minute)) * 1000 AS last_ms
     FROM monitor_calls WHERE model = $1 AND variant <> 'shadow' AND minute >= to_timestamp($2 / 1000.0)
       AND caller IN (SELECT caller FROM monitor_calls WHERE model = $1 AND minute >= to_timestamp($2 / 1000.0)
         AND caller NOT IN ('', 'other') GROUP BY caller ORDER BY sum(calls) DESC LIMIT 20)
     GROUP BY caller, 2 ORDER BY 2`,
    [model, since],
  );
  return [...Map.groupBy(rows, ({ caller }) => caller)].map(([caller, own]) => ({
    caller,
    hours: own.map((row) => ({ at: Number(row.at_ms), calls: Number(row.calls), errors: 0 })),
    // The last call may have been at the end of its minute.
    lastAt: Math.max(...own.map((row) => Number(row.last_ms))) + 60_000,
  }));
}
