import type { AttributeValue } from '@hotloop/model/value.ts';
import { fromPostgresError, type Queryable } from '@hotloop/platform/postgres/pool.ts';
import type { OutcomeEvent } from '../datasets/join.ts';
import type { AcceptedOutcome } from './accept-outcome.ts';

// Input: a JSON list of outcomes. Effect: one row for each that is not there yet. Output: those that were new.
const INSERT = `
  INSERT INTO outcome (id, model, source, kind, prediction_id, keys, value, attributes, occurred_at)
  SELECT id, model, source, kind, prediction_id, keys, value, attributes, to_timestamp(occurred_ms / 1000.0)
  FROM jsonb_to_recordset($1::jsonb) AS report (
    id text, model text, source text, kind text, prediction_id uuid, keys jsonb, value jsonb, attributes jsonb,
    occurred_ms double precision)
  ON CONFLICT (model, source, id) DO NOTHING
  RETURNING model, source, id`;

const SELECT = `
  SELECT sequence, id, source, kind, prediction_id, keys, value, attributes,
         extract(epoch FROM occurred_at) * 1000 AS occurred_ms
  FROM outcome WHERE model = $1 AND sequence <= $2 AND occurred_at >= to_timestamp($3 / 1000.0)
  ORDER BY sequence`;

/** Identifies a report within the store. */
export function reportKey(report: { model: string; source: string; id: string }): string {
  return JSON.stringify([report.model, report.source, report.id]);
}

/** Keeps reports in one statement, each once. Returns the `reportKey` of those that were new. All or none. */
export async function insertOutcomes(
  database: Queryable,
  outcomes: readonly AcceptedOutcome[],
): Promise<ReadonlySet<string>> {
  const distinct = new Map<string, AcceptedOutcome>();
  for (const outcome of outcomes) {
    const key = reportKey(outcome);
    if (!distinct.has(key)) distinct.set(key, outcome);
  }
  if (distinct.size === 0) return new Set();
  const reports = [...distinct.values()].map((outcome) => ({
    id: outcome.id,
    model: outcome.model,
    source: outcome.source,
    kind: outcome.kind,
    prediction_id: outcome.predictionId,
    keys: outcome.keys,
    value: outcome.value,
    attributes: outcome.attributes,
    occurred_ms: outcome.occurredAt,
  }));
  try {
    const { rows } = await database.query<{ model: string; source: string; id: string }>(INSERT, [
      JSON.stringify(reports),
    ]);
    return new Set(rows.map(reportKey));
  } catch (error) {
    throw fromPostgresError(error);
  }
}

/** The newest sequence number that any report of the model has; 0 without one. */
export async function outcomeCut(database: Queryable, model: string): Promise<number> {
  const { rows } = await database.query<{ cut: string }>(
    'SELECT coalesce(max(sequence), 0) AS cut FROM outcome WHERE model = $1',
    [model],
  );
  return Number(rows[0]?.cut ?? 0);
}

interface OutcomeRow {
  readonly id: string;
  readonly source: string;
  readonly kind: 'label' | 'retract';
  readonly prediction_id: string | null;
  readonly keys: Record<string, string>;
  readonly value: AttributeValue | null;
  readonly attributes: Record<string, AttributeValue>;
  readonly occurred_ms: string;
}

/** The reports of a model up to a cut, that happened at or after a moment. */
export async function readOutcomes(
  database: Queryable,
  model: string,
  cut: number,
  sinceMs: number,
): Promise<OutcomeEvent[]> {
  const { rows } = await database.query<OutcomeRow>(SELECT, [model, cut, sinceMs]);
  return rows.map((row) => ({
    id: row.id,
    source: row.source,
    kind: row.kind,
    predictionId: row.prediction_id,
    keys: row.keys,
    value: row.value,
    attributes: row.attributes,
    occurredAt: Math.round(Number(row.occurred_ms)),
  }));
}
