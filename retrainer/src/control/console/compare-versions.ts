import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';

/** What one version's answers looked like lately. */
export interface VersionAnswers {
  readonly version: number;
  readonly answers: number;
  readonly errors: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** Share of its scores in each of BINS equal parts of [0, 1]; scores outside count at the ends. */
  readonly scores: readonly number[];
  /** Per part of [0, 1]: mean score, and share of positive outcomes, of what has an outcome of 0 or 1. */
  readonly calibration: readonly {
    readonly score: number;
    readonly positive: number;
    readonly outcomes: number;
  }[];
}

export const BINS = 20;
const CALIBRATION_BINS = 10;
const DAYS = 7;
/** The newest answers are read; more would make a person wait and change no picture. */
const MOST_ANSWERS = 20_000;

// Input: model, version, first id, most rows. Output: one row.
const ANSWERS = `
  WITH newest AS (
    SELECT prediction.prediction_id, error_code, (queue_us + run_us) / 1000.0 AS ms, decision.score
    FROM prediction LEFT JOIN decision ON decision.prediction_id = prediction.prediction_id
    WHERE prediction.model = $1 AND prediction.version = $2 AND prediction.prediction_id >= $3
    ORDER BY prediction.prediction_id DESC LIMIT $4)
  SELECT count(*) AS answers, count(error_code) AS errors,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50, percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) AS p99
  FROM newest`;

// Output: bin of the score from 1 to $5 and how many are in it.
const SCORES = `
  SELECT least(greatest(width_bucket(score, 0, 1, $5), 1), $5) AS bin, count(*) AS answers
  FROM (SELECT decision.score FROM decision
    WHERE model = $1 AND version = $2 AND prediction_id >= $3 AND score IS NOT NULL
    ORDER BY prediction_id DESC LIMIT $4) newest GROUP BY bin`;

// Output: bins of the score with the mean score and the share of outcomes that are 1 or true; only outcomes that name their prediction.
const CALIBRATION = `
  SELECT least(greatest(width_bucket(score, 0, 1, $5), 1), $5) AS bin, count(*) AS outcomes, avg(score) AS score,
    avg(CASE WHEN value IN ('1', 'true') THEN 1.0 ELSE 0.0 END) AS positive
  FROM (SELECT decision.score, outcome.value FROM outcome
      JOIN decision ON decision.prediction_id = outcome.prediction_id
    WHERE outcome.model = $1 AND decision.version = $2 AND decision.prediction_id >= $3 AND outcome.kind = 'label'
      AND outcome.value IN ('0', '1', 'true', 'false') AND decision.score BETWEEN 0 AND 1
    ORDER BY outcome.sequence DESC LIMIT $4) labelled
  GROUP BY bin HAVING count(*) > 0 ORDER BY bin`;

/** Reads what a version answered over the last days. Empty numbers when it answered nothing. */
export async function readVersionAnswers(
  pool: Pool,
  model: string,
  version: number,
  now: number,
): Promise<VersionAnswers> {
  const input = [model, version, firstPredictionIdAt(now - DAYS * 86_400_000), MOST_ANSWERS];
  const [facts, scores, calibration] = await Promise.all([
    pool.query<{ answers: string; errors: string; p50: number | null; p99: number | null }>(ANSWERS, input),
    pool.query<{ bin: number; answers: string }>(SCORES, [...input, BINS]),
    pool.query<{ bin: number; outcomes: string; score: number; positive: string }>(CALIBRATION, [
      ...input,
      CALIBRATION_BINS,
    ]),
  ]).catch((error: unknown) => {
    throw fromPostgresError(error);
  });
  const row = facts.rows[0];
  const counts = new Map(scores.rows.map(({ bin, answers }) => [bin, Number(answers)]));
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return {
    version,
    answers: Number(row?.answers ?? 0),
    errors: Number(row?.errors ?? 0),
    p50Ms: row?.p50 ?? null,
    p99Ms: row?.p99 ?? null,
    scores: total === 0 ? [] : Array.from({ length: BINS }, (_, bin) => (counts.get(bin + 1) ?? 0) / total),
    calibration: calibration.rows.map(({ score, positive, outcomes }) => ({
      score,
      positive: Number(positive),
      outcomes: Number(outcomes),
    })),
  };
}
