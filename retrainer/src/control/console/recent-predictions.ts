import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { firstPredictionIdAt, isPredictionId } from '@hotloop/proto/prediction-id.ts';

export interface PredictionSummary {
  readonly predictionId: string;
  readonly at: number;
  readonly version: number;
  readonly variant: string;
  readonly entities: Readonly<Record<string, string>>;
  readonly candidates: number;
  readonly label: string;
  readonly score: number | null;
  readonly durationMs: number;
  readonly degraded: readonly string[];
  readonly error: string | null;
  /** The latest label reported for it by its id; null when there is none. */
  readonly outcome: unknown;
}

/**
 * Which predictions to look at. disagreeing: the outcome says otherwise than the answer. flagged: a feature was not present as it should
 * be, or the answer did without something.
 */
export const PREDICTION_KINDS = ['all', 'failed', 'degraded', 'uncertain', 'disagreeing', 'flagged'] as const;
export type PredictionKind = (typeof PREDICTION_KINDS)[number];

export interface PredictionFilter {
  readonly model: string;
  readonly only: PredictionKind;
  readonly version: number | null;
  /** Predictions before this one; null begins at the newest. */
  readonly before: string | null;
  readonly limit: number;
  /** Only these. */
  readonly ids?: readonly string[];
}

interface SummaryRow {
  readonly prediction_id: string;
  readonly at: Date;
  readonly version: number;
  readonly variant: string;
  readonly entities: Record<string, string>;
  readonly candidates: string;
  readonly label: string | null;
  readonly score: number | null;
  readonly us: number;
  readonly degraded: string[];
  readonly error_code: string | null;
  readonly outcome: unknown;
}

/** How far back is looked: the newest rows are what a person wants to see. */
const LOOK_BACK_MS = 30 * 86_400_000;

// Input: model, id before which, oldest id, filter, version or null, limit. Output: newest first. The primary's answers.
const RECENT = `
  SELECT prediction.prediction_id, prediction.at, prediction.version, prediction.variant, entities,
    cardinality(candidates) AS candidates, decision.label, decision.score, queue_us + run_us AS us, degraded, error_code,
    (SELECT value FROM outcome WHERE outcome.prediction_id = prediction.prediction_id AND kind = 'label'
     ORDER BY sequence DESC LIMIT 1) AS outcome
  FROM prediction LEFT JOIN decision ON decision.prediction_id = prediction.prediction_id
  WHERE prediction.model = $1 AND prediction.prediction_id < $2 AND prediction.prediction_id >= $3
    AND prediction.variant <> 'shadow'
    AND CASE $4 WHEN 'failed' THEN error_code IS NOT NULL WHEN 'degraded' THEN cardinality(degraded) > 0
      WHEN 'uncertain' THEN abs(decision.score - 0.5) < 0.1
      WHEN 'flagged' THEN cardinality(degraded) > 0 OR statuses <> decode(repeat('00', length(statuses)), 'hex')
      WHEN 'disagreeing' THEN EXISTS (SELECT 1 FROM outcome WHERE outcome.prediction_id = prediction.prediction_id AND kind = 'label'
        AND CASE WHEN value IN ('0', '1', 'true', 'false') THEN (value IN ('1', 'true')) <> (decision.score >= 0.5)
          ELSE value #>> '{}' <> decision.label END)
      ELSE true END
    AND ($5::int IS NULL OR prediction.version = $5)
    AND ($7::uuid[] IS NULL OR prediction.prediction_id = ANY($7))
  ORDER BY prediction.prediction_id DESC LIMIT $6`;

/** The newest predictions of a model, before the one given. */
export async function recentPredictions(
  pool: Pool,
  filter: PredictionFilter,
  now: number,
): Promise<readonly PredictionSummary[]> {
  const { model, only, version, limit } = filter;
  const before =
    filter.before !== null && isPredictionId(filter.before)
      ? filter.before
      : firstPredictionIdAt(now + 86_400_000);
  const { rows } = await pool
    .query<SummaryRow>(RECENT, [
      model,
      before,
      firstPredictionIdAt(now - LOOK_BACK_MS),
      only,
      version,
      limit,
      filter.ids ?? null,
    ])
    .catch((error: unknown) => {
      throw fromPostgresError(error);
    });
  return rows.map((row) => ({
    predictionId: row.prediction_id,
    at: row.at.getTime(),
    version: row.version,
    variant: row.variant,
    entities: row.entities,
    candidates: Number(row.candidates),
    label: row.label ?? '',
    score: row.score,
    durationMs: row.us / 1000,
    degraded: row.degraded,
    error: row.error_code,
    outcome: row.outcome,
  }));
}
