import type { Estimate } from '@hotloop/model/statistics/estimated-performance.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import type { Quality, QualityMetric } from './quality.ts';

/** Stores the quality of days and slices. A new measurement replaces the old one; the first estimate is kept. */
export async function writeQuality(
  database: Queryable,
  model: string,
  spans: readonly Quality[],
): Promise<void> {
  if (spans.length === 0) return;
  await database.query(
    `INSERT INTO monitor_quality AS known (model, version, day, metric, slice, rows, labelled, measured, estimated)
     SELECT $1, version, (to_timestamp(at / 1000.0) AT TIME ZONE 'UTC')::date, metric, coalesce(slice, ''), rows, labelled,
       measured, estimated
     FROM jsonb_to_recordset($2::jsonb) AS one (version integer, at double precision, metric text, slice text, rows bigint,
       labelled bigint, measured jsonb, estimated jsonb)
     ON CONFLICT (model, version, day, metric, slice) DO UPDATE SET rows = EXCLUDED.rows, labelled = EXCLUDED.labelled,
       measured = EXCLUDED.measured, estimated = coalesce(EXCLUDED.estimated, known.estimated), at = now()`,
    [model, JSON.stringify(spans)],
  );
}

/** Quality of whole days, or by week and slice, in chronological order. */
export async function listQuality(
  database: Queryable,
  model: string,
  since: number,
  of: 'days' | 'slices' = 'days',
): Promise<Quality[]> {
  const { rows } = await database.query<{
    version: number;
    at_ms: string;
    metric: QualityMetric;
    slice: string;
    rows: string;
    labelled: string;
    measured: Estimate | null;
    estimated: Estimate | null;
  }>(
    `SELECT version, extract(epoch FROM day) * 1000 AS at_ms, metric, slice, rows, labelled, measured, estimated
     FROM monitor_quality WHERE model = $1 AND day >= to_timestamp($2 / 1000.0)::date AND (slice <> '') = $3
     ORDER BY day, slice, version`,
    [model, since, of === 'slices'],
  );
  return rows.map(({ slice, ...row }) => ({
    ...{ version: row.version, at: Number(row.at_ms), metric: row.metric },
    ...(slice === '' ? {} : { slice }),
    ...{ rows: Number(row.rows), labelled: Number(row.labelled) },
    ...{ measured: row.measured, estimated: row.estimated },
  }));
}
