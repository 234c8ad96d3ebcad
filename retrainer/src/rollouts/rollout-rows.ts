import { fromPostgresError, type Queryable } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type {
  Approval,
  Evidence,
  Rollout,
  RolloutChange,
  RolloutFailure,
  RolloutPlan,
  RolloutTrafficPart,
} from './rollout.ts';
import { isRolloutState } from './rollout-state.ts';

/** Throws NOT_FOUND. */
export async function findRollout(database: Queryable, rolloutId: string): Promise<Rollout> {
  const rows = await queryRollouts(database, 'SELECT * FROM rollout WHERE rollout_id = $1', [rolloutId]);
  if (!rows[0]) throw new HotloopError('NOT_FOUND', `there is no rollout ${rolloutId}`);
  return rolloutOf(rows[0]);
}

/** Newest first; empty means every model. */
export async function listRollouts(database: Queryable, model: string, limit: number): Promise<Rollout[]> {
  const rows = await queryRollouts(
    database,
    `SELECT * FROM rollout WHERE $1 = '' OR model = $1 ORDER BY created_at DESC, rollout_id DESC LIMIT $2`,
    [model, limit],
  );
  return rows.map(rolloutOf);
}

/** Rollouts that are due to be checked. */
export async function dueRollouts(database: Queryable): Promise<string[]> {
  const rows = await queryRollouts(
    database,
    `SELECT * FROM rollout WHERE ended_at IS NULL AND due_at <= now() AND (lease_until IS NULL OR lease_until < now())
     ORDER BY due_at LIMIT 100`,
    [],
  );
  return rows.map((row) => row.rollout_id);
}

/** Changes of a rollout after a known one. */
export async function changesAfter(
  database: Queryable,
  rolloutId: string,
  sequence: number,
): Promise<RolloutChange[]> {
  try {
    const { rows } = await database.query<ChangeRow>(
      'SELECT * FROM rollout_event WHERE rollout_id = $1 AND sequence > $2 ORDER BY sequence LIMIT 500',
      [rolloutId, sequence],
    );
    return rows.map(changeOf);
  } catch (error) {
    throw fromPostgresError(error);
  }
}

export interface RolloutRow {
  readonly rollout_id: string;
  readonly model: string;
  readonly version: number;
  readonly from_version: number | null;
  readonly action: Rollout['action'];
  readonly mode: Rollout['mode'];
  readonly plan: RolloutPlan;
  readonly state: string;
  readonly step: number;
  readonly traffic: RolloutTrafficPart | null;
  readonly salt: string;
  readonly generation: string;
  readonly message: string;
  readonly reason: string;
  readonly actor: string;
  readonly evidence: Evidence;
  readonly failure: RolloutFailure | null;
  readonly approvals: readonly Approval[];
  readonly token: string;
  readonly created_at: Date;
  readonly state_at: Date;
  readonly step_at: Date;
  readonly flipped_at: Date | null;
  readonly ended_at: Date | null;
}

interface ChangeRow {
  readonly sequence: number;
  readonly at: Date;
  readonly event: RolloutChange['event'];
  readonly state: RolloutChange['state'];
  readonly step: number;
  readonly traffic: RolloutTrafficPart | null;
  readonly message: string;
  readonly actor: string;
  readonly reason: string;
  readonly evidence: Evidence;
}

function changeOf(row: ChangeRow): RolloutChange {
  return { ...row, at: row.at.getTime() };
}

export function rolloutOf(row: RolloutRow): Rollout {
  if (!isRolloutState(row.state)) throw new HotloopError('INTERNAL', 'a rollout has an unknown state');
  return {
    rolloutId: row.rollout_id,
    model: row.model,
    version: row.version,
    fromVersion: row.from_version,
    action: row.action,
    mode: row.mode,
    plan: row.plan,
    state: row.state,
    step: row.step,
    traffic: row.traffic,
    salt: row.salt,
    generation: Number(row.generation),
    message: row.message,
    reason: row.reason,
    actor: row.actor,
    evidence: row.evidence,
    failure: row.failure,
    approvals: row.approvals,
    token: Number(row.token),
    createdAt: row.created_at.getTime(),
    stateAt: row.state_at.getTime(),
    stepAt: row.step_at.getTime(),
    flippedAt: row.flipped_at?.getTime() ?? null,
    endedAt: row.ended_at?.getTime() ?? null,
  };
}

export async function queryRollouts(
  database: Queryable,
  text: string,
  values: unknown[],
): Promise<RolloutRow[]> {
  try {
    return (await database.query<RolloutRow>(text, values)).rows;
  } catch (error) {
    throw fromPostgresError(error);
  }
}
