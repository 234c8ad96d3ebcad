import type { AttributeValue } from '@hotloop/model/value.ts';
import { type BinaryRow, copyOut } from '@hotloop/platform/postgres/copy-out.ts';
import { fromPostgresError, type PoolClient, type Queryable } from '@hotloop/platform/postgres/pool.ts';
import type { OutcomeEvent } from '../datasets/join.ts';
import type { AcceptedOutcome } from './accept-outcome.ts';

// Input: a JSON list of outcomes. Effect: inserts those that do not exist. Output: the new ones.
const INSERT = `
  INSERT INTO outcome (id, model, source, kind, prediction_id, keys, value, attributes, occurred_at)
  SELECT id, model, source, kind, prediction_id, keys, value, attributes, to_timestamp(occurred_ms / 1000.0)
  FROM jsonb_to_recordset($1::jsonb) AS report (
    id text, model text, source text, kind text, prediction_id uuid, keys jsonb, value jsonb, attributes jsonb,
    occurred_ms double precision)
  ON CONFLICT (model, source, id) DO NOTHING
  RETURNING model, source, id`;

const FIELDS = 'sequence, id, source, kind, prediction_id, keys, value, attributes, occurred_at';

/** Identifies a report within the store. */
export function reportKey(report: { model: string; source: string; id: string }): string {
  return JSON.stringify([report.model, report.source, report.id]);
}

/** Stores reports in one statement, each once; all or none. Returns the `reportKey` of the new ones. */
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

/** The newest sequence number of the model's reports; 0 without reports. */
export async function outcomeCut(database: Queryable, model: string): Promise<number> {
  const { rows } = await database.query<{ cut: string }>(
    'SELECT coalesce(max(sequence), 0) AS cut FROM outcome WHERE model = $1',
    [model],
  );
  return Number(rows[0]?.cut ?? 0);
}

/** A report with its sequence number. */
export interface StoredOutcome extends OutcomeEvent {
  readonly sequence: number;
}

/** Selects the reports that can concern certain predictions. */
export interface OutcomesWanted {
  readonly model: string;
  /** The last sequence number that is read. */
  readonly cut: number;
  /** Reports that name a prediction between these ids, inclusive. */
  readonly firstId: string;
  readonly lastId: string;
  /** Reports with join keys whose event was between these times; null if the model declares no keys. */
  readonly keyed: readonly [fromMs: number, toMs: number] | null;
}

/** Reads reports through COPY, in no particular order. */
export async function readOutcomesOf(client: PoolClient, wanted: OutcomesWanted): Promise<StoredOutcome[]> {
  const { model, cut, firstId, lastId, keyed } = wanted;
  const where = `model = ${client.escapeLiteral(model)} AND sequence <= ${Number(cut)}`;
  const selects = [
    `SELECT ${FIELDS} FROM outcome WHERE ${where}
       AND prediction_id BETWEEN ${client.escapeLiteral(firstId)} AND ${client.escapeLiteral(lastId)}`,
    ...(keyed === null
      ? []
      : [
          `SELECT ${FIELDS} FROM outcome WHERE ${where} AND prediction_id IS NULL
             AND occurred_at BETWEEN to_timestamp(${keyed[0] / 1000}) AND to_timestamp(${keyed[1] / 1000})`,
        ]),
  ];
  const outcomes: StoredOutcome[] = [];
  for await (const rows of copyOut(client, selects.join(' UNION ALL '), outcomeOf))
    for (const row of rows) outcomes.push(row);
  return outcomes;
}

/** Number of a model's reports, up to a sequence number, whose event was at or after a given time. */
export async function countOutcomes(
  database: Queryable,
  model: string,
  cut: number,
  sinceMs: number,
): Promise<number> {
  const { rows } = await database.query<{ count: string }>(
    `SELECT count(*) AS count FROM outcome
     WHERE model = $1 AND sequence <= $2 AND occurred_at >= to_timestamp($3 / 1000.0)`,
    [model, cut, sinceMs],
  );
  return Number(rows[0]?.count ?? 0);
}

/** How many labels of a model came after a sequence number, counted up to `most`. */
export async function countNewLabels(
  database: Queryable,
  model: string,
  cut: number,
  most: number,
): Promise<number> {
  const { rows } = await database.query<{ count: string }>(
    `SELECT count(*) AS count FROM (
       SELECT 1 FROM outcome WHERE model = $1 AND sequence > $2 AND kind = 'label' LIMIT $3) few`,
    [model, cut, most],
  );
  return Number(rows[0]?.count ?? 0);
}

function outcomeOf(row: BinaryRow): StoredOutcome {
  return {
    sequence: row.bigint(0),
    id: row.text(1),
    source: row.text(2),
    kind: row.text(3) === 'retract' ? 'retract' : 'label',
    predictionId: row.isNull(4) ? null : row.uuid(4),
    keys: row.record(5),
    value: row.isNull(6) ? null : (row.json(6) as AttributeValue | null),
    attributes: row.record(7),
    occurredAt: row.timestampMs(8),
  };
}

/** Whether a model has any report. */
export async function hasOutcomes(database: Queryable, model: string): Promise<boolean> {
  const { rows } = await database
    .query<{ found: boolean }>('SELECT EXISTS (SELECT 1 FROM outcome WHERE model = $1) AS found', [model])
    .catch((error: unknown) => {
      throw fromPostgresError(error);
    });
  return rows[0]?.found === true;
}
