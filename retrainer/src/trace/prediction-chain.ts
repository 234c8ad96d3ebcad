import type { AttributeValue } from '@hotloop/model/value.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { GateVerdict } from '../improve/gate.ts';

export interface PredictionRow {
  readonly at: Date;
  readonly model: string;
  readonly version: number;
  readonly variant: string;
  /** The probability with which this version was chosen to answer. */
  readonly propensity: number;
  readonly caller: string;
  readonly entities: Record<string, string>;
  readonly candidates: string[];
  readonly rows: number;
  readonly columns: number;
  readonly degraded: string[];
  readonly queue_us: number;
  readonly run_us: number;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly node: string;
}

export interface DecisionRow {
  readonly at: Date;
  readonly version: number;
  readonly label: string;
  readonly score: number | null;
  readonly shown: unknown;
}

export interface OutcomeRow {
  readonly sequence: string;
  readonly id: string;
  readonly source: string;
  readonly kind: string;
  readonly value: AttributeValue | null;
  readonly attributes: Record<string, AttributeValue>;
  readonly occurred_at: Date;
  readonly received_at: Date;
}

/** A run whose dataset was collected after the prediction's outcome arrived. */
export interface LearningRow {
  readonly sha256: string;
  readonly examples: string;
  readonly cut: string;
  readonly collected_at: Date;
  readonly run_id: string;
  readonly state: string;
  readonly reason: string;
  readonly message: string;
  readonly version: number | null;
  readonly gate: GateVerdict | null;
  readonly created_at: Date;
  readonly ended_at: Date | null;
  readonly promotions: readonly {
    sequence: number;
    at: string;
    actor: string;
    action: string;
    hash: string;
  }[];
}

export interface PredictionChain {
  readonly prediction: PredictionRow | null;
  readonly decision: DecisionRow | null;
  readonly outcomes: readonly OutcomeRow[];
  readonly learnings: readonly LearningRow[];
}

const PREDICTION = `
  SELECT at, model, version, variant, propensity, caller, entities, candidates, "rows", "columns", degraded, queue_us, run_us,
         error_code, error_message, node
  FROM prediction WHERE prediction_id = $1`;

const DECISION = 'SELECT at, version, label, score, shown FROM decision WHERE prediction_id = $1';

const OUTCOME = 'sequence, id, source, kind, value, attributes, occurred_at, received_at';

const OUTCOMES_BY_ID = `SELECT ${OUTCOME} FROM outcome WHERE prediction_id = $1 ORDER BY sequence LIMIT 200`;

// Input: id. Output: the outcomes whose keys and window match one of the prediction's rows.
const OUTCOMES_BY_KEYS = `
  SELECT ${OUTCOME} FROM outcome
  WHERE sequence IN (SELECT sequence FROM outcome_match_by_keys WHERE prediction_id = $1)
  ORDER BY sequence LIMIT 200`;

// Input: model, sequence of the first outcome (null: none), time from which the prediction can be in a dataset. Output: later runs.
const LEARNINGS = `
  SELECT dataset.sha256, dataset.examples, dataset.cut, dataset.created_at AS collected_at,
         run.run_id, run.state, run.reason, run.message, run.version, run.gate, run.created_at, run.ended_at,
         coalesce((SELECT jsonb_agg(jsonb_build_object('sequence', ledger.sequence, 'at', ledger.at, 'actor', ledger.actor,
                     'action', ledger.action, 'hash', ledger.hash) ORDER BY ledger.sequence)
                   FROM ledger WHERE ledger.model = run.model AND ledger.version = run.version
                     AND ledger.action IN ('promote', 'rollback')), '[]') AS promotions
  FROM training_run run JOIN dataset ON dataset.sha256 = run.dataset_sha256
  WHERE run.model = $1 AND dataset.created_at >= to_timestamp($3 / 1000.0) AND ($2::bigint IS NULL OR dataset.cut >= $2)
  ORDER BY run.created_at LIMIT 20`;

/**
 * Everything in Postgres that belongs to one prediction.
 *
 * @param windowOf how long after a prediction of a model its outcomes count, in milliseconds.
 */
export async function readChain(
  pool: Pool,
  predictionId: string,
  windowOf: (model: string) => number,
): Promise<PredictionChain> {
  const [predictions, decisions, named, keyed] = await Promise.all([
    pool.query<PredictionRow>(PREDICTION, [predictionId]),
    pool.query<DecisionRow>(DECISION, [predictionId]),
    pool.query<OutcomeRow>(OUTCOMES_BY_ID, [predictionId]),
    pool.query<OutcomeRow>(OUTCOMES_BY_KEYS, [predictionId]),
  ]);
  const prediction = predictions.rows[0] ?? null;
  const decision = decisions.rows[0] ?? null;
  if (!prediction) return { prediction, decision, outcomes: named.rows, learnings: [] };
  const outcomes = [...named.rows, ...keyed.rows];
  const at = prediction.at.getTime();
  const first = outcomes.length > 0 ? Math.min(...outcomes.map((row) => Number(row.sequence))) : null;
  // Without an outcome it can only have the default label, once its window has ended.
  const since = first === null ? at + windowOf(prediction.model) : at;
  const learnings = await pool.query<LearningRow>(LEARNINGS, [prediction.model, first, since]);
  return { prediction, decision, outcomes, learnings: learnings.rows };
}
