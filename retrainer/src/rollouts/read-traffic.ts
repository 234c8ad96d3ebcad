import { fromPostgresError, type Queryable } from '@hotloop/platform/postgres/pool.ts';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import { firstNumber, type LoggedOutputs } from './logged-outputs.ts';
import type { Rollout, TrafficFacts } from './rollout.ts';
import { stabilityIndex } from './stability-index.ts';

/** Guards look at most this far into the past; older problems are over. */
const WINDOW_MS = 15 * 60_000;
const SCORES = 2_000;

const COUNTS = `
  SELECT count(*)::int AS requests,
    count(*) FILTER (WHERE error_code IS NOT NULL AND error_code NOT IN ('INVALID_ARGUMENT', 'CANCELLED'))::int AS errors,
    count(*) FILTER (WHERE error_message LIKE '%is not a finite number%')::int AS nonfinite,
    (percentile_cont(0.99) WITHIN GROUP (ORDER BY queue_us + run_us) / 1000.0)::float8 AS p99_ms
  FROM prediction WHERE prediction_id >= $1 AND model = $2 AND version = $3 AND variant = $4`;

const OUTPUTS = `
  SELECT outputs, output_spec FROM prediction
  WHERE prediction_id >= $1 AND model = $2 AND version = $3 AND variant = ANY($4) AND error_code IS NULL AND outputs IS NOT NULL
  ORDER BY prediction_id DESC LIMIT ${SCORES}`;

/** Statistics of the candidate's answers since the step began, at most of the last 15 minutes. */
export async function readTraffic(database: Queryable, rollout: Rollout, now: number): Promise<TrafficFacts> {
  const { model, version, state, plan } = rollout;
  const begun = state === 'live' ? (rollout.flippedAt ?? rollout.stepAt) : rollout.stepAt;
  const from = firstPredictionIdAt(Math.max(begun, now - WINDOW_MS));
  const variant = variantOf(rollout);
  try {
    const { rows } = await database.query<{
      requests: number;
      errors: number;
      nonfinite: number;
      p99_ms: number | null;
    }>(COUNTS, [from, model, version, variant]);
    const counts = rows[0] ?? { requests: 0, errors: 0, nonfinite: 0, p99_ms: null };
    const wantsDrift = plan.guards?.drift !== undefined && counts.requests >= plan.guards.min_requests;
    return {
      requests: counts.requests,
      errors: counts.errors,
      nonfinite: counts.nonfinite,
      p99Ms: counts.p99_ms,
      drift: wantsDrift ? await readDrift(database, rollout, from, variant) : null,
    };
  } catch (error) {
    throw fromPostgresError(error);
  }
}

/** How the log marks the candidate's answers. */
export function variantOf({ state }: Pick<Rollout, 'state'>): 'shadow' | 'canary' | 'live' {
  if (state === 'shadow') return 'shadow';
  return state === 'live' ? 'live' : 'canary';
}

async function readDrift(
  database: Queryable,
  { model, version, fromVersion, state }: Rollout,
  from: string,
  variant: string,
): Promise<number | null> {
  const scores = async (of: number | null, variants: readonly string[], since: string) => {
    const { rows } = await database.query<LoggedOutputs>(OUTPUTS, [since, model, of, variants]);
    return rows.flatMap((row) => firstNumber(row) ?? []);
  };
  // Once the candidate is live, the former version gives no more answers, so its earlier scores are used.
  const since = state === 'live' ? firstPredictionIdAt(0) : from;
  const [candidate, live] = [
    await scores(version, [variant], from),
    await scores(fromVersion, ['live'], since),
  ];
  return stabilityIndex(live, candidate);
}
