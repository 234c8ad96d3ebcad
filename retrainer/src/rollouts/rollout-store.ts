import {
  fromPostgresError,
  type Pool,
  type PoolClient,
  type Queryable,
  transaction,
} from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { appendLedger } from '../ledger/ledger.ts';
import type {
  Approval,
  Evidence,
  Rollout,
  RolloutChange,
  RolloutFailure,
  RolloutPlan,
  RolloutTrafficPart,
} from './rollout.ts';
import { queryRollouts, type RolloutRow, rolloutOf } from './rollout-rows.ts';
import { isRolloutEnded, nextRolloutState, type RolloutEvent } from './rollout-state.ts';

/** A driver's right to write a rollout, until a newer claim replaces it. */
export interface RolloutClaim {
  readonly rollout: Rollout;
  readonly token: number;
}

export interface NewRollout {
  readonly rolloutId: string;
  readonly model: string;
  readonly version: number;
  readonly fromVersion: number | null;
  readonly action: Rollout['action'];
  readonly plan: RolloutPlan;
  readonly traffic: RolloutTrafficPart | null;
  readonly salt: string;
  readonly generation: number;
  readonly actor: string;
  readonly reason: string;
  readonly message: string;
}

/** Changes of an event besides the state. */
export interface RolloutUpdate {
  readonly event: RolloutEvent;
  readonly message: string;
  readonly actor?: string;
  readonly reason?: string;
  readonly step?: number;
  readonly traffic?: RolloutTrafficPart | null;
  readonly evidence?: Evidence;
  readonly failure?: RolloutFailure;
  /** Whether to write a row of the ledger. */
  readonly isRecorded: boolean;
}

export function staleRolloutClaim(): HotloopError {
  return new HotloopError('ABORTED', 'somebody else has changed this rollout meanwhile', {
    reason: 'stale_token',
  });
}

/** Inserts a rollout in the state `requested`, inside the caller's transaction; `recordRequest` must end it. */
export async function insertRollout(client: Queryable, rollout: NewRollout): Promise<Rollout> {
  const { rows } = await client.query<RolloutRow>(
    `INSERT INTO rollout (rollout_id, model, version, from_version, action, mode, plan, state, traffic, salt, generation, actor,
       reason, message) VALUES ($1, $2, $3, $4, $5, $6, $7, 'requested', $8, $9, $10, $11, $12, $13) RETURNING *`,
    [
      rollout.rolloutId,
      rollout.model,
      rollout.version,
      rollout.fromVersion,
      rollout.action,
      rollout.plan.mode,
      JSON.stringify(rollout.plan),
      rollout.traffic === null ? null : JSON.stringify(rollout.traffic),
      rollout.salt,
      rollout.generation,
      rollout.actor,
      rollout.reason,
      rollout.message,
    ],
  );
  const stored = rolloutOf(rows[0]!);
  await insertChange(client, stored, 'requested', rollout.actor, rollout.reason);
  return stored;
}

/** The request's row of the ledger: last in its transaction, after everything that changes the registry. */
export async function recordRequest(client: Queryable, rollout: Rollout, at: number): Promise<void> {
  const { rolloutId, model, version, fromVersion, action, plan, actor, reason } = rollout;
  await appendLedger(client, {
    ...{ at, actor, action: 'rollout', model, version },
    detail: {
      rollout_id: rolloutId,
      event: 'requested',
      asks: action,
      mode: plan.mode,
      from_version: fromVersion,
      reason,
      ...(plan.forced ? { forced: true } : {}),
    },
  });
}

/**
 * Locks a model inside the caller's transaction, then the counter that the registry's triggers increment. Every change of a model
 * locks in this order, and the ledger last; with another order two changes could deadlock.
 */
export async function lockModel(client: Queryable, model: string): Promise<void> {
  await client.query('SELECT 1 FROM model WHERE name = $1 FOR NO KEY UPDATE', [model]);
  await client.query('SELECT 1 FROM registry_change FOR UPDATE');
}

/** Claims a rollout for a driver until the lease ends. Null if it has ended or another driver has claimed it. */
export async function claimRollout(
  pool: Pool,
  rolloutId: string,
  leaseMs: number,
): Promise<RolloutClaim | null> {
  const rows = await queryRollouts(
    pool,
    `UPDATE rollout SET token = token + 1, lease_until = now() + make_interval(secs => $2 / 1000.0)
     WHERE rollout_id = $1 AND ended_at IS NULL AND (lease_until IS NULL OR lease_until < now()) RETURNING *`,
    [rolloutId, leaseMs],
  );
  if (!rows[0]) return null;
  const rollout = rolloutOf(rows[0]);
  return { rollout, token: rollout.token };
}

/** Releases the claim; the rollout is due again after `dueMs`. A stale claim changes nothing. */
export async function releaseRollout(
  pool: Pool,
  claim: RolloutClaim,
  dueMs: number,
  evidence?: Evidence,
): Promise<void> {
  await queryRollouts(
    pool,
    `UPDATE rollout SET lease_until = NULL, due_at = now() + make_interval(secs => $3 / 1000.0),
       evidence = coalesce($4, evidence) WHERE rollout_id = $1 AND token = $2 RETURNING *`,
    [claim.rollout.rolloutId, claim.token, dueMs, evidence === undefined ? null : JSON.stringify(evidence)],
  );
}

/**
 * Runs a change of a claimed rollout in one transaction. The model's row is locked first, as by every change of a model, then the
 * rollout's. Throws ABORTED `stale_token` for a stale claim.
 */
export async function changeRollout<T>(
  pool: Pool,
  claim: RolloutClaim,
  change: (client: PoolClient, rollout: Rollout) => Promise<T>,
): Promise<T> {
  return inTransaction(pool, async (client) => {
    await lockModel(client, claim.rollout.model);
    const { rows } = await client.query<RolloutRow>(
      'SELECT * FROM rollout WHERE rollout_id = $1 AND token = $2 AND ended_at IS NULL FOR UPDATE',
      [claim.rollout.rolloutId, claim.token],
    );
    if (!rows[0]) throw staleRolloutClaim();
    return change(client, rolloutOf(rows[0]));
  });
}

/**
 * Applies one event of the transition table inside the caller's transaction, which has locked the rollout's row. Throws
 * FAILED_PRECONDITION `wrong_state` if the event cannot happen in its state.
 */
export async function applyEvent(
  client: Queryable,
  rollout: Rollout,
  update: RolloutUpdate,
  at: number,
): Promise<Rollout> {
  const state = nextRolloutState(rollout.state, update.event);
  if (state === null)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `rollout ${rollout.rolloutId} of ${rollout.model} is ${rollout.state}: it cannot be ${update.event.replaceAll('_', ' ')}`,
      { reason: 'wrong_state' },
    );
  const isOver = isRolloutEnded(state);
  const traffic = isOver ? null : update.traffic === undefined ? rollout.traffic : update.traffic;
  const isStep = update.step !== undefined || update.traffic !== undefined;
  const { rows } = await client.query<RolloutRow>(
    `UPDATE rollout SET state = $2, message = $3, step = coalesce($4, step), traffic = $5, evidence = coalesce($6, evidence),
       failure = coalesce($7, failure), due_at = now(),
       state_at = CASE WHEN state = $2 THEN state_at ELSE now() END, step_at = CASE WHEN $8 THEN now() ELSE step_at END,
       flipped_at = CASE WHEN $9 THEN now() ELSE flipped_at END,
       ended_at = CASE WHEN $10 THEN now() END, lease_until = CASE WHEN $10 THEN NULL ELSE lease_until END
     WHERE rollout_id = $1 RETURNING *`,
    [
      rollout.rolloutId,
      state,
      update.message.slice(0, 2_000),
      update.step ?? null,
      traffic === null ? null : JSON.stringify(traffic),
      update.evidence === undefined ? null : JSON.stringify(update.evidence),
      update.failure === undefined ? null : JSON.stringify(update.failure),
      isStep,
      update.event === 'flipped',
      isOver,
    ],
  );
  const changed = rolloutOf(rows[0]!);
  const actor = update.actor ?? 'hotloop';
  const reason = update.reason ?? '';
  await insertChange(client, changed, update.event, actor, reason);
  if (update.isRecorded)
    await appendLedger(client, {
      at,
      actor,
      action: 'rollout',
      model: changed.model,
      version: changed.version,
      detail: {
        rollout_id: changed.rolloutId,
        event: update.event,
        state,
        step: changed.step,
        message: update.message,
        reason,
        ...(update.evidence === undefined ? {} : { evidence: update.evidence }),
      },
    });
  return changed;
}

/** Updates the message without a change of state; does nothing if the message is the same. */
export async function reportMessage(
  pool: Pool,
  claim: RolloutClaim,
  message: string,
  evidence?: Evidence,
): Promise<void> {
  if (message === claim.rollout.message) return;
  await changeRollout(pool, claim, async (client, rollout) => {
    const { rows } = await client.query<RolloutRow>(
      'UPDATE rollout SET message = $2, evidence = coalesce($3, evidence) WHERE rollout_id = $1 RETURNING *',
      [rollout.rolloutId, message.slice(0, 2_000), evidence === undefined ? null : JSON.stringify(evidence)],
    );
    await insertChange(client, rolloutOf(rows[0]!), 'progress', 'hotloop', '');
  });
}

/** Adds an approval inside the caller's transaction. */
export async function addApproval(client: Queryable, rollout: Rollout, approval: Approval): Promise<Rollout> {
  const { rows } = await client.query<RolloutRow>(
    'UPDATE rollout SET approvals = approvals || $2::jsonb WHERE rollout_id = $1 RETURNING *',
    [rollout.rolloutId, JSON.stringify([approval])],
  );
  const changed = rolloutOf(rows[0]!);
  await insertChange(client, changed, 'approval', approval.actor, approval.reason);
  return changed;
}

async function insertChange(
  client: Queryable,
  rollout: Rollout,
  event: RolloutChange['event'],
  actor: string,
  reason: string,
): Promise<void> {
  await client.query(
    `INSERT INTO rollout_event (rollout_id, sequence, event, state, step, traffic, message, actor, reason, evidence)
     SELECT $1, coalesce(max(sequence), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9 FROM rollout_event WHERE rollout_id = $1`,
    [
      rollout.rolloutId,
      event,
      rollout.state,
      rollout.step,
      rollout.traffic === null ? null : JSON.stringify(rollout.traffic),
      rollout.message,
      actor,
      reason,
      JSON.stringify(rollout.evidence),
    ],
  );
}

/** Rollouts of a model that have not ended, locked until the caller's transaction ends. */
export async function activeRollouts(client: Queryable, model: string): Promise<Rollout[]> {
  const { rows } = await client.query<RolloutRow>(
    'SELECT * FROM rollout WHERE model = $1 AND ended_at IS NULL ORDER BY created_at FOR UPDATE',
    [model],
  );
  return rows.map(rolloutOf);
}

/** Whether a rollout that has not ended goes to or from a version. */
export async function isInRollout(client: Queryable, model: string, version: number): Promise<boolean> {
  const { rowCount } = await client.query(
    'SELECT 1 FROM rollout WHERE model = $1 AND ended_at IS NULL AND $2 IN (version, from_version) LIMIT 1',
    [model, version],
  );
  return rowCount === 1;
}

/** Ends the current driver's claim, inside the caller's transaction. */
export async function fenceRollout(client: Queryable, rollout: Rollout): Promise<void> {
  await client.query('UPDATE rollout SET token = token + 1, lease_until = NULL WHERE rollout_id = $1', [
    rollout.rolloutId,
  ]);
}

/** Retries once after a deadlock in Postgres. */
export async function inTransaction<T>(pool: Pool, fn: (client: PoolClient) => Promise<T>): Promise<T> {
  try {
    return await transaction(pool, fn, { retrySerialization: true });
  } catch (error) {
    throw fromPostgresError(error);
  }
}
