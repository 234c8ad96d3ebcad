import type { OutsidePosition } from '@hotloop/platform/postgres/outside-rows.ts';
import { fromPostgresError, type PoolClient, type Queryable } from '@hotloop/platform/postgres/pool.ts';

/** The reading position of a model's outcome query. */
export interface SqlSource {
  /** Number of outcomes read so far. */
  readonly outcomes: number;
  /** Number of invalid rows in the latest reading, and the first of them with the reason. */
  readonly refused: number;
  readonly problems: readonly string[];
  /** Error of the latest reading; empty if it succeeded. */
  readonly error: string;
  /** Milliseconds since 1970; null before the first. */
  readonly readAt: number | null;
  readonly watermark: string | null;
}

interface SourceRow {
  readonly watermark: string | null;
  readonly row_id: string | null;
  readonly outcomes: string;
  readonly refused: number;
  readonly problems: string[];
  readonly error: string;
  readonly read_at: Date | null;
}

export async function findSource(database: Queryable, model: string): Promise<SqlSource | null> {
  try {
    const { rows } = await database.query<SourceRow>('SELECT * FROM outcome_source WHERE model = $1', [
      model,
    ]);
    const row = rows[0];
    if (!row) return null;
    const { refused, problems, error, watermark } = row;
    const readAt = row.read_at?.getTime() ?? null;
    return { outcomes: Number(row.outcomes), refused, problems, error, readAt, watermark };
  } catch (error) {
    throw fromPostgresError(error);
  }
}

/** Creates the row of a model, due at once. A changed query is read from the start. */
export async function keepSource(database: Queryable, model: string, querySha256: string): Promise<void> {
  await database.query(
    `INSERT INTO outcome_source (model, query_sha256) VALUES ($1, $2) ON CONFLICT (model) DO UPDATE
     SET query_sha256 = $2, watermark = NULL, row_id = NULL, due_at = now() WHERE outcome_source.query_sha256 <> $2`,
    [model, querySha256],
  );
}

/** Locks a model's row for this transaction. Null if it is locked elsewhere or, with `dueOnly`, if it is not due. */
export async function lockSource(
  client: PoolClient,
  model: string,
  dueOnly: boolean,
): Promise<{ readonly position: OutsidePosition | null } | null> {
  const { rows } = await client.query<SourceRow>(
    `SELECT * FROM outcome_source WHERE model = $1 AND (NOT $2 OR due_at <= now()) FOR UPDATE SKIP LOCKED`,
    [model, dueOnly],
  );
  const row = rows[0];
  if (!row) return null;
  const { watermark, row_id } = row;
  return { position: watermark === null || row_id === null ? null : { watermark, id: row_id } };
}

/** Moves the position, in the transaction that stores the outcomes. @param nextMs when the next reading is due; null: at once. */
export async function advanceSource(
  client: PoolClient,
  model: string,
  change: {
    readonly position: OutsidePosition | null;
    readonly added: number;
    readonly refused: number;
    readonly problems: readonly string[];
    readonly nextMs: number | null;
  },
): Promise<void> {
  await client.query(
    `UPDATE outcome_source SET watermark = coalesce($2, watermark), row_id = coalesce($3, row_id), outcomes = outcomes + $4,
       refused = $5, problems = $6, error = '', read_at = now(),
       due_at = CASE WHEN $7::double precision IS NULL THEN due_at ELSE now() + make_interval(secs => $7 / 1000.0) END
     WHERE model = $1`,
    [
      model,
      change.position?.watermark ?? null,
      change.position?.id ?? null,
      change.added,
      change.refused,
      JSON.stringify(change.problems),
      change.nextMs,
    ],
  );
}

export async function failSource(
  database: Queryable,
  model: string,
  error: string,
  nextMs: number,
): Promise<void> {
  await database.query(
    `UPDATE outcome_source SET error = $2, due_at = now() + make_interval(secs => $3 / 1000.0) WHERE model = $1`,
    [model, error.slice(0, 1000), nextMs],
  );
}
