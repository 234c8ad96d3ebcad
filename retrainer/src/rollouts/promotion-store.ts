import {
  fromPostgresError,
  type Pool,
  type Queryable,
  transaction,
} from '@hotloop/platform/postgres/pool.ts';
import { NODE_ALIVE_SECONDS } from '@hotloop/platform/registry/node-liveness.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { didYouMean } from '@hotloop/proto/nearest-name.ts';
import { appendLedger, type LedgerAction } from '../ledger/ledger.ts';
import type { NodeReport } from './rollout-state.ts';

export interface ModelState {
  readonly liveVersion: number | null;
  readonly previousVersion: number | null;
  readonly targetVersion: number | null;
  readonly generation: number;
}

export interface Flip {
  readonly model: string;
  readonly version: number;
  /** The generation at the start of the promotion, expected by the compare-and-swap. */
  readonly generation: number;
  readonly action: Extract<LedgerAction, 'promote' | 'rollback'>;
  readonly actor: string;
  readonly at: number;
  /** Stored in the ledger's row. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

interface ModelRow {
  readonly live_version: number | null;
  readonly previous_version: number | null;
  readonly target_version: number | null;
  readonly generation: string;
}

/** The registry's present state of a model. Throws NOT_FOUND. */
export async function readModelState(pool: Queryable, model: string): Promise<ModelState> {
  const { rows } = await query<ModelRow>(
    pool,
    'SELECT live_version, previous_version, target_version, generation FROM model WHERE name = $1',
    [model],
  );
  const row = rows[0];
  if (!row) throw await unknownModel(pool, model);
  return {
    liveVersion: row.live_version,
    previousVersion: row.previous_version,
    targetVersion: row.target_version,
    generation: Number(row.generation),
  };
}

/** NOT_FOUND, naming the registered model with the most similar name. */
export async function unknownModel(database: Queryable, model: string): Promise<HotloopError> {
  const { rows } = await query<{ name: string }>(
    database,
    'SELECT name FROM model ORDER BY name LIMIT 10000',
    [],
  );
  const meant = didYouMean(
    model,
    rows.map((row) => row.name),
  );
  return new HotloopError(
    'NOT_FOUND',
    `model ${JSON.stringify(model.slice(0, 80))} is not registered${meant}`,
  );
}

/** Requests every node to load a version. False if the model's generation has changed. */
export async function setTarget(
  pool: Queryable,
  model: string,
  version: number,
  generation: number,
): Promise<boolean> {
  const { rowCount } = await query(
    pool,
    'UPDATE model SET target_version = $2 WHERE name = $1 AND generation = $3',
    [model, version, generation],
  );
  return rowCount === 1;
}

/** Withdraws the request, unless another promotion has replaced it. */
export async function clearTarget(
  pool: Queryable,
  model: string,
  version: number,
  generation: number,
): Promise<void> {
  await query(
    pool,
    'UPDATE model SET target_version = NULL WHERE name = $1 AND target_version = $2 AND generation = $3',
    [model, version, generation],
  );
}

/** The last report of every live node about the version, by name. A node without a report is `cold`. */
export async function readNodeReports(
  pool: Queryable,
  model: string,
  version: number,
): Promise<NodeReport[]> {
  const { rows } = await query<NodeReport>(
    pool,
    `SELECT node.node, coalesce(said.state, 'cold') AS state, coalesce(said.detail, '') AS detail,
       coalesce(said.reason, '') AS reason
     FROM node LEFT JOIN node_version said
       ON said.node = node.node AND said.model = $1 AND said.version = $2
     WHERE node.seen_at > now() - make_interval(secs => $3)
     ORDER BY node.node`,
    [model, version, NODE_ALIVE_SECONDS],
  );
  return rows;
}

/** The flip in its own transaction; see `flipWithin`. */
export async function flip(pool: Pool, flip: Flip): Promise<number | null> {
  return inTransaction(pool, (client) => flipWithin(client, flip));
}

/**
 * The flip: one compare-and-swap and its ledger row, inside the caller's transaction. Returns the new generation, or null
 * if the model has changed (another flip, or another promotion's target). A rollback expects no target, because the
 * previous version is still loaded everywhere.
 */
export async function flipWithin(client: Queryable, flip: Flip): Promise<number | null> {
  const expectation = flip.action === 'promote' ? 'target_version = $2' : 'previous_version = $2';
  const { rows } = await client.query<{ generation: string; previous_version: number | null }>(
    `UPDATE model SET live_version = $2, previous_version = live_version, target_version = NULL,
            generation = generation + 1
     WHERE name = $1 AND generation = $3 AND ${expectation}
     RETURNING generation, previous_version`,
    [flip.model, flip.version, flip.generation],
  );
  const row = rows[0];
  if (!row) return null;
  const generation = Number(row.generation);
  await appendLedger(client, {
    at: flip.at,
    actor: flip.actor,
    action: flip.action,
    model: flip.model,
    version: flip.version,
    detail: { ...flip.detail, from_version: row.previous_version, generation },
  });
  return generation;
}

async function query<Row extends object>(pool: Queryable, text: string, values: unknown[]) {
  try {
    return await pool.query<Row>(text, values);
  } catch (error) {
    throw fromPostgresError(error);
  }
}

async function inTransaction<T>(pool: Pool, fn: Parameters<typeof transaction<T>>[1]): Promise<T> {
  try {
    return await transaction(pool, fn, { retrySerialization: true });
  } catch (error) {
    throw fromPostgresError(error);
  }
}
