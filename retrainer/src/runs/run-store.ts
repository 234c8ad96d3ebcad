import {
  fromPostgresError,
  type Pool,
  type PoolClient,
  type Queryable,
  transaction,
} from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { GateVerdict } from '../improve/gate.ts';
import { appendLedger } from '../ledger/ledger.ts';
import { holdModel } from '../registry/version-store.ts';
import type { RunChange, TrainingRun } from './run.ts';
import { isEnded, isRunState, nextRunState, type RunEvent, type RunState } from './run-state.ts';

/** A worker's right to write a run, until a newer claim replaces it. */
export interface RunClaim {
  readonly run: TrainingRun;
  readonly token: number;
}

export interface RunCount {
  readonly model: string;
  readonly state: RunState;
  readonly runs: number;
}

export interface NewRun {
  readonly runId: string;
  readonly model: string;
  /** The same key returns the existing run. */
  readonly key: string;
  readonly reason: string;
  readonly hold: boolean;
  readonly kind?: TrainingRun['kind'];
  readonly experiment?: string;
  readonly overrides?: Readonly<Record<string, unknown>>;
}

/** Thrown by every write with a stale claim: the worker was too slow, and its result is ignored. */
export function staleClaim(): HotloopError {
  return new HotloopError('ABORTED', 'another worker has taken this run over', { reason: 'stale_token' });
}

/** Requests a run. `created` is false if the key was already used; the run is then the existing one. */
export async function createRun(
  pool: Pool,
  request: NewRun,
): Promise<{ readonly run: TrainingRun; readonly created: boolean }> {
  const inserted = await query(
    pool,
    `INSERT INTO training_run (run_id, model, key, reason, hold, state, kind, experiment, overrides)
     VALUES ($1, $2, $3, $4, $5, 'requested', $6, $7, $8)
     ON CONFLICT (model, key) DO NOTHING RETURNING *`,
    [
      ...[request.runId, request.model, request.key, request.reason, request.hold],
      ...[request.kind ?? 'retrain', request.experiment ?? '', JSON.stringify(request.overrides ?? {})],
    ],
  );
  if (inserted[0]) return { run: runOf(inserted[0]), created: true };
  const rows = await query(pool, 'SELECT * FROM training_run WHERE model = $1 AND key = $2', [
    request.model,
    request.key,
  ]);
  if (!rows[0]) throw new HotloopError('UNAVAILABLE', 'the run could not be stored; try again');
  return { run: runOf(rows[0]), created: false };
}

export async function findRun(database: Queryable, runId: string): Promise<TrainingRun | null> {
  const rows = await query(database, 'SELECT * FROM training_run WHERE run_id = $1', [runId]);
  return rows[0] ? runOf(rows[0]) : null;
}

/** Ids of the runs that have not ended. */
export async function openRuns(database: Queryable): Promise<string[]> {
  const rows = await query(database, 'SELECT * FROM training_run WHERE ended_at IS NULL', []);
  return rows.map((row) => runOf(row).runId);
}

/** Deletes the runs of a deleted model. */
export async function deleteRuns(client: Queryable, model: string): Promise<void> {
  await query(client, 'DELETE FROM training_run WHERE model = $1', [model]);
}

/** Newest first; empty means every model, or every experiment. */
export async function listRuns(
  database: Queryable,
  model: string,
  limit: number,
  experiment = '',
): Promise<TrainingRun[]> {
  const rows = await query(
    database,
    `SELECT * FROM training_run WHERE ($1 = '' OR model = $1) AND ($3 = '' OR experiment = $3)
     ORDER BY created_at DESC, run_id DESC LIMIT $2`,
    [model, limit, experiment],
  );
  return rows.map(runOf);
}

/**
 * Claims a run for a worker until the lease ends, with a token greater than all earlier ones. Null if it cannot be claimed:
 * the run has ended, another worker has it, or another run of the model is active. Trials of a search may run in parallel.
 */
export async function claimRun(pool: Pool, runId: string, leaseMs: number): Promise<RunClaim | null> {
  return inTransaction(pool, async (client) => {
    const asked = await client.query<{ model: string }>('SELECT model FROM training_run WHERE run_id = $1', [
      runId,
    ]);
    if (!asked.rows[0]) return null;
    // Claims of one model are serialised here, so that two runs of it are never active at the same time.
    await holdModel(client, asked.rows[0].model);
    const { rows } = await client.query<RunRow>(
      `SELECT * FROM training_run run WHERE run_id = $1 AND ended_at IS NULL
           AND (lease_until IS NULL OR lease_until < now())
           AND (kind = 'trial' OR NOT EXISTS (SELECT 1 FROM training_run other WHERE other.model = run.model
             AND other.kind <> 'trial'
             AND other.run_id <> run.run_id AND other.ended_at IS NULL AND other.lease_until > now()))
         FOR UPDATE`,
      [runId],
    );
    if (!rows[0]) return null;
    const state = stateAfter(runOf(rows[0]).state, 'claimed');
    const claimed = await client.query<RunRow>(
      `UPDATE training_run SET token = token + 1, lease_until = now() + make_interval(secs => $2 / 1000.0),
           state = $3, enqueued = true, progress = 0, message = '',
           started_at = coalesce(started_at, now()) WHERE run_id = $1 RETURNING *`,
      [runId, leaseMs, state],
    );
    const run = runOf(claimed.rows[0]!);
    return { run, token: run.token };
  });
}

/** Extends the lease. Throws ABORTED with reason stale_token for a stale claim. */
export async function extendLease(pool: Pool, claim: RunClaim, leaseMs: number): Promise<void> {
  const rows = await query(
    pool,
    `UPDATE training_run SET lease_until = now() + make_interval(secs => $3 / 1000.0)
     WHERE run_id = $1 AND token = $2 AND ended_at IS NULL RETURNING *`,
    [claim.run.runId, claim.token, leaseMs],
  );
  if (rows.length === 0) throw staleClaim();
}

/** Gives an unfinished run back, so that any worker can claim it at once. A stale claim changes nothing. */
export async function releaseRun(pool: Pool, claim: RunClaim): Promise<void> {
  await query(
    pool,
    `UPDATE training_run SET lease_until = NULL, enqueued = false
     WHERE run_id = $1 AND token = $2 AND ended_at IS NULL RETURNING *`,
    [claim.run.runId, claim.token],
  );
}

/** Writes progress within a state. A stale claim changes nothing, without an error: the next event finds out. */
export async function reportProgress(
  pool: Pool,
  claim: RunClaim,
  progress: number,
  message: string,
): Promise<void> {
  await query(
    pool,
    `UPDATE training_run SET progress = $3, message = $4
     WHERE run_id = $1 AND token = $2 AND ended_at IS NULL RETURNING *`,
    [claim.run.runId, claim.token, progress, message],
  );
}

/**
 * Applies one event of the transition table, and `also`, in one transaction. The end of a run is also written to the
 * ledger. Throws ABORTED with reason stale_token for a stale claim.
 */
export async function advanceRun(
  pool: Pool,
  claim: RunClaim,
  event: RunEvent,
  change: RunChange,
  at: number,
  also: (client: Queryable) => Promise<RunChange> = async () => ({}),
): Promise<TrainingRun> {
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<RunRow>(
      'SELECT * FROM training_run WHERE run_id = $1 AND token = $2 AND ended_at IS NULL FOR UPDATE',
      [claim.run.runId, claim.token],
    );
    if (!rows[0]) throw staleClaim();
    const state = stateAfter(runOf(rows[0]).state, event);
    const full: RunChange = { ...change, ...(await also(client)) };
    const updated = await client.query<RunRow>(
      `UPDATE training_run SET state = $3, message = coalesce($4, message),
           parent_version = coalesce($5, parent_version), version = coalesce($6, version),
           dataset_sha256 = coalesce($7, dataset_sha256), examples = coalesce($8, examples),
           progress = coalesce($9, progress), metrics = coalesce($10, metrics), gate = coalesce($11, gate),
           parameters = coalesce($12, parameters), hardware = coalesce($13, hardware),
           ended_at = CASE WHEN $14 THEN now() END, lease_until = CASE WHEN $14 THEN NULL ELSE lease_until END
         WHERE run_id = $1 AND token = $2 RETURNING *`,
      [claim.run.runId, claim.token, state, ...valuesOf(full), isEnded(state)],
    );
    const run = runOf(updated.rows[0]!);
    if (isEnded(state)) await recordEnd(client, run, at);
    return run;
  });
}

function valuesOf(change: RunChange): unknown[] {
  return [
    change.message?.slice(0, 2000) ?? null,
    change.parentVersion ?? null,
    change.version ?? null,
    change.datasetSha256 ?? null,
    change.examples ?? null,
    change.progress ?? null,
    change.metrics ? JSON.stringify(change.metrics) : null,
    change.gate ? JSON.stringify(change.gate) : null,
    change.parameters ? JSON.stringify(change.parameters) : null,
    change.hardware ? JSON.stringify(change.hardware) : null,
  ];
}

async function recordEnd(client: Queryable, run: TrainingRun, at: number): Promise<void> {
  await appendLedger(client, {
    at,
    actor: 'retrainer',
    action: 'run',
    model: run.model,
    version: run.version,
    detail: {
      run_id: run.runId,
      state: run.state,
      message: run.message,
      dataset_sha256: run.datasetSha256,
      gate: run.gate,
    },
  });
}

function stateAfter(state: RunState, event: RunEvent): RunState {
  const next = nextRunState(state, event);
  if (next === null) throw new HotloopError('INTERNAL', `a run that is ${state} cannot take ${event}`);
  return next;
}

export interface RunRow {
  readonly run_id: string;
  readonly model: string;
  readonly key: string;
  readonly reason: string;
  readonly hold: boolean;
  readonly kind: TrainingRun['kind'];
  readonly experiment: string;
  readonly overrides: Record<string, unknown>;
  readonly parameters: Record<string, unknown>;
  readonly hardware: Record<string, unknown>;
  readonly started_at: Date | null;
  readonly state: string;
  readonly message: string;
  readonly token: string;
  readonly parent_version: number | null;
  readonly version: number | null;
  readonly dataset_sha256: string | null;
  readonly examples: string;
  readonly progress: number;
  readonly metrics: Record<string, number>;
  readonly gate: GateVerdict | null;
  readonly created_at: Date;
  readonly ended_at: Date | null;
}

export function runOf(row: RunRow): TrainingRun {
  if (!isRunState(row.state)) throw new HotloopError('INTERNAL', 'a run has an unknown state');
  return {
    runId: row.run_id,
    model: row.model,
    key: row.key,
    reason: row.reason,
    hold: row.hold,
    kind: row.kind,
    experiment: row.experiment,
    overrides: row.overrides,
    parameters: row.parameters,
    hardware: row.hardware,
    state: row.state,
    message: row.message,
    token: Number(row.token),
    parentVersion: row.parent_version,
    version: row.version,
    datasetSha256: row.dataset_sha256,
    examples: Number(row.examples),
    progress: row.progress,
    metrics: row.metrics,
    gate: row.gate && { ...row.gate, checks: row.gate.checks ?? [] },
    createdAt: row.created_at.getTime(),
    startedAt: row.started_at?.getTime() ?? null,
    endedAt: row.ended_at?.getTime() ?? null,
  };
}

async function query(database: Queryable, text: string, values: unknown[]): Promise<RunRow[]> {
  return wrapped(async () => (await database.query<RunRow>(text, values)).rows);
}

/** Retries once after a deadlock in Postgres. */
function inTransaction<T>(pool: Pool, fn: (client: PoolClient) => Promise<T>): Promise<T> {
  return wrapped(() => transaction(pool, fn, { retrySerialization: true }));
}

async function wrapped<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw fromPostgresError(error);
  }
}

/** Number of runs in each state; ended ones only of the last week. */
export async function countRuns(database: Queryable): Promise<RunCount[]> {
  const { rows } = await database.query<{ model: string; state: RunState; runs: string }>(
    `SELECT model, state, count(*) AS runs FROM training_run
     WHERE state NOT IN ('succeeded', 'refused', 'failed') OR created_at > now() - interval '7 days'
     GROUP BY model, state`,
  );
  return rows.map((row) => ({ ...row, runs: Number(row.runs) }));
}

/** A run that has already ended: a first version from a file. */
export interface EndedRun
  extends Pick<TrainingRun, 'runId' | 'model' | 'reason' | 'message' | 'datasetSha256' | 'examples'>,
    Pick<TrainingRun, 'metrics' | 'parameters' | 'hardware'> {
  readonly version: number;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Inserts the run of a first version, in the transaction that registers it. */
export async function insertFirstRun(client: Queryable, run: EndedRun): Promise<void> {
  await query(
    client,
    `INSERT INTO training_run (run_id, model, key, reason, hold, state, message, kind, version, dataset_sha256, examples, progress,
       metrics, parameters, hardware, enqueued, started_at, created_at, ended_at)
     VALUES ($1::uuid, $2, $1::uuid::text, $3, true, 'succeeded', $4, 'first', $5, $6, $7, 1, $8, $9, $10, true,
       to_timestamp($11::double precision / 1000), to_timestamp($11::double precision / 1000),
       to_timestamp($12::double precision / 1000)) RETURNING *`,
    [
      ...[run.runId, run.model, run.reason, run.message, run.version, run.datasetSha256, run.examples],
      ...[JSON.stringify(run.metrics), JSON.stringify(run.parameters), JSON.stringify(run.hardware)],
      ...[run.startedAt, run.endedAt],
    ],
  );
}
