import { HotloopError } from '@hotloop/proto/errors.ts';
import type { PoolClient } from 'pg';
import { copyInto } from '../postgres/copy-into.ts';
import type { CopyRows } from '../postgres/copy-rows.ts';
import { ensurePartition, partitionDay } from '../postgres/partitions.ts';
import type { JournalPosition, SegmentDescription } from './segment.ts';

const NAME = /^[a-z_][a-z0-9_]{0,62}$/;

export interface Shipment {
  readonly journal: string;
  readonly description: SegmentDescription;
  readonly rows: CopyRows;
  /** The stored position; segment 0 when there is none. */
  readonly from: JournalPosition;
  /** Undefined: the stored position is neither checked nor changed. */
  readonly next: JournalPosition | undefined;
  readonly provisional: string | undefined;
}

/** Creates the partitions that rows need, except for days known to have one. */
export async function preparePartitions(
  client: PoolClient,
  table: string,
  rows: CopyRows,
  known: Set<number>,
): Promise<void> {
  for (let index = 0; index < rows.length; index++) {
    const day = partitionDay(rows.keyTimeMs(index));
    if (known.has(day)) continue;
    await ensurePartition(client, table, day);
    known.add(day);
  }
}

/**
 * Stores, in one transaction, the rows whose keys are not in the table yet, and the journal's position. So a repeated
 * or interrupted shipment has no effect twice. Nearly all shipments have only new keys and go directly into the
 * table, which costs Postgres half; one with a known key goes through a staging table. Rejects ABORTED
 * `journal_moved`, and ships nothing, when the stored position is not the start of the shipment.
 */
export async function shipRows(client: PoolClient, shipment: Shipment): Promise<void> {
  const { description, rows } = shipment;
  const { table, columns } = description;
  for (const name of [table, ...columns]) if (!NAME.test(name)) throw new RangeError('not a plain name');
  try {
    // One query is one transaction, and needs two round trips instead of six.
    const behind = [movePosition(client, shipment), addToCounts(client, shipment)].filter(
      (sql) => sql !== '',
    );
    await copyInto(client, table, columns, rows.bytes(), behind.join('; '));
  } catch (error) {
    if (!isKnownKey(error)) throw named(error);
    await shipStaged(client, shipment).catch((cause) => {
      throw named(cause);
    });
  }
}

/** Translates the violation that `movePosition` causes into a descriptive error; returns other errors unchanged. */
function named(error: unknown): unknown {
  const isMoved =
    error instanceof Error &&
    'table' in error &&
    error.table === 'journal_position' &&
    'code' in error &&
    error.code === NOT_NULL_VIOLATION;
  if (!isMoved) return error;
  return new HotloopError(
    'ABORTED',
    'Postgres was restored to an earlier state, or another process also ships this journal',
    { reason: 'journal_moved', cause: error },
  );
}

async function shipStaged(client: PoolClient, shipment: Shipment): Promise<void> {
  const { table, columns } = shipment.description;
  const stage = `stage_${table}`;
  await client.query('BEGIN');
  try {
    await client.query(
      `CREATE TEMP TABLE IF NOT EXISTS "${stage}" (LIKE "${table}" INCLUDING DEFAULTS) ON COMMIT DELETE ROWS`,
    );
    await copyInto(client, stage, columns, shipment.rows.bytes());
    await client.query(insertStatement(client, shipment, stage));
    if (shipment.next) await client.query(movePosition(client, shipment));
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/**
 * Moves the position only if it is the start of the shipment. Otherwise there would be a gap, because another process
 * ships the journal too, or the database was restored to an earlier state. In that case the statement sets the
 * segment to NULL, which violates the column's constraint and aborts the transaction.
 */
function movePosition(client: PoolClient, { journal, from, next }: Shipment): string {
  if (!next) return '';
  const name = client.escapeLiteral(journal);
  // A missing position is only inserted by the first shipment; later it means that the row was lost.
  const segment =
    from.segment === 0
      ? next.segment
      : `(SELECT ${next.segment} FROM journal_position WHERE journal = ${name})`;
  return `INSERT INTO journal_position (journal, segment, "offset", at)
    VALUES (${name}, ${segment}, ${next.offset}, now())
    ON CONFLICT (journal) DO UPDATE SET "offset" = EXCLUDED."offset", at = EXCLUDED.at, segment = CASE
      WHEN journal_position.segment = ${from.segment} AND journal_position."offset" = ${from.offset}
      THEN EXCLUDED.segment END`;
}

/**
 * Predictions are counted while they are stored, so that the table never has to be counted. There is one row per
 * journal and model, and each journal has one shipper, so shippers do not wait for each other.
 */
const COUNTED_TABLE = 'prediction';
const ADD_COUNTS = `ON CONFLICT (journal, model) DO UPDATE SET predictions = logged_count.predictions + EXCLUDED.predictions`;

function addToCounts(client: PoolClient, { journal, description, rows }: Shipment): string {
  const field = description.columns.indexOf('model');
  if (description.table !== COUNTED_TABLE || field < 0 || rows.length === 0) return '';
  const values = [...rows.countTexts(field)]
    .sort()
    .map(([model, count]) => `(${client.escapeLiteral(journal)}, ${client.escapeLiteral(model)}, ${count})`);
  return `INSERT INTO logged_count (journal, model, predictions) VALUES ${values.join(', ')} ${ADD_COUNTS}`;
}

function insertStatement(
  client: PoolClient,
  { journal, description: { table, columns }, provisional }: Shipment,
  stage: string,
): string {
  const insert = insertFrom(table, stage, columns, provisional);
  if (table !== COUNTED_TABLE || !columns.includes('model')) return insert;
  const key = `"${columns[0]}"`;
  // The first CTE sees the table before the insertion, so a row that replaces a provisional one is known and not
  // counted again.
  return `WITH known AS (SELECT ${key} FROM "${table}" WHERE ${key} IN (SELECT ${key} FROM "${stage}")),
    stored AS (${insert} RETURNING ${key}, model)
    INSERT INTO logged_count (journal, model, predictions)
    SELECT ${client.escapeLiteral(journal)}, model, count(*) FROM stored
    WHERE ${key} NOT IN (SELECT ${key} FROM known) GROUP BY model ${ADD_COUNTS}`;
}

function insertFrom(
  table: string,
  stage: string,
  columns: readonly string[],
  provisional: string | undefined,
): string {
  const names = columns.map((column) => `"${column}"`).join(', ');
  const key = `"${columns[0]}"`;
  if (provisional === undefined)
    return `INSERT INTO "${table}" (${names}) SELECT ${names} FROM "${stage}" ON CONFLICT (${key}) DO NOTHING`;
  const assignments = columns.slice(1).map((column) => `"${column}" = EXCLUDED."${column}"`);
  // DISTINCT ON, because a statement must not update a row twice; the row without the mark comes first.
  return `INSERT INTO "${table}" (${names})
    SELECT DISTINCT ON (${key}) ${names} FROM "${stage}" ORDER BY ${key}, ("${provisional}" IS NOT NULL)
    ON CONFLICT (${key}) DO UPDATE SET ${assignments.join(', ')}
    WHERE "${table}"."${provisional}" IS NOT NULL AND EXCLUDED."${provisional}" IS NULL`;
}

const UNIQUE_VIOLATION = '23505';
const NOT_NULL_VIOLATION = '23502';

function isKnownKey(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === UNIQUE_VIOLATION;
}

/** True when Postgres rejected the rows themselves, so sending them again would fail in the same way. */
export function isRefusal(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^(22|23)/.test(code);
}
