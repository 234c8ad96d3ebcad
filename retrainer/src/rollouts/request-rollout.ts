import { randomBytes, randomUUID } from 'node:crypto';
import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { RolloutMode, RolloutSpec } from '@hotloop/model/manifest/rollout-schema.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Pool, PoolClient } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { findVersion, readManifest } from '../registry/version-store.ts';
import { findRun } from '../runs/run-store.ts';
import { gateTable } from './gate-table.ts';
import { type ModelState, readModelState, readNodeReports, setTarget } from './promotion-store.ts';
import type { Rollout, RolloutPlan } from './rollout.ts';
import { DEFAULT_GUARDS } from './rollout-steps.ts';
import {
  activeRollouts,
  applyEvent,
  fenceRollout,
  insertRollout,
  inTransaction,
  lockModel,
  recordRequest,
} from './rollout-store.ts';

export interface PromoteInput {
  readonly model: string;
  readonly version: number;
  /** The generation the caller saw; 0 skips the check. */
  readonly expectedGeneration: number;
  readonly actor: string;
  readonly reason?: string;
  /** Promotes a version although its gate refused it; requires a reason. */
  readonly force?: boolean;
  /** Replaces the rollout section of the version's manifest. */
  readonly change?: Partial<Pick<RolloutSpec, 'mode' | 'steps' | 'share' | 'advance' | 'requests' | 'every'>>;
}

export interface PromotionOptions {
  /** How long nodes may take to load and warm the version. */
  readonly timeoutMs: number;
  readonly pollMs: number;
  /** How long a failure from before this promotion is ignored while the node tries again. */
  readonly oldFailureMs: number;
}

export interface PromotionDependencies {
  readonly pool: Pool;
  readonly clock: Clock;
}

/** Maximum number of concurrent shadows of a model. */
const MOST_SHADOWS = 4;

/** Either a rollout, or the information that the version is already live. */
export type Requested =
  | { readonly kind: 'rollout'; readonly rollout: Rollout }
  | { readonly kind: 'already_live'; readonly state: ModelState };

/**
 * Inserts the rollout of a version, which the reconciler then drives, independently of the caller. Rejects NOT_FOUND (model, version), ABORTED
 * `generation_moved`, FAILED_PRECONDITION: `gate_failed` (with the gate's table), `archived`, `rollout_in_progress`.
 */
export async function requestPromotion(
  input: PromoteInput,
  { pool, clock }: PromotionDependencies,
  options: Omit<PromotionOptions, 'pollMs'>,
): Promise<Requested> {
  const { model, version } = input;
  return inTransaction(pool, async (client) => {
    const state = await holdModel(client, model);
    const found = await findVersion(client, model, version);
    if (input.expectedGeneration !== 0 && input.expectedGeneration !== state.generation)
      throw new HotloopError(
        'ABORTED',
        `model ${model} is at generation ${state.generation}, not ${input.expectedGeneration}; look again before promoting`,
        { reason: 'generation_moved' },
      );
    if (state.liveVersion === version) return { kind: 'already_live', state };
    if (found.archivedAt !== null)
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `version ${version} of ${model} is archived; bring it back first: hotloop model restore ${model} ${version}`,
        { reason: 'archived' },
      );
    const forced = await checkGate(client, found.runId, input);
    const spec = { ...(await readManifest(client, model, version)).rollout, ...input.change };
    // The first version cannot be compared with another one.
    const mode: RolloutMode = state.liveVersion === null ? 'at_once' : spec.mode;
    const joined = await sameRollout(client, model, version, mode);
    if (joined) return { kind: 'rollout', rollout: joined };
    await makeRoom(client, model, version, mode, clock.now());
    const reports = await readNodeReports(client, model, version);
    const plan: RolloutPlan = {
      ...planOf({ ...spec, mode }, options),
      oldFailures: reports.filter((report) => report.state === 'failed').map((report) => report.node),
      ...(forced ? { forced } : {}),
    };
    const salt = randomBytes(6).toString('hex');
    const rollout = await insertRollout(client, {
      ...{ rolloutId: randomUUID(), model, version, fromVersion: state.liveVersion, action: 'promote' },
      ...{ plan, salt, generation: state.generation, actor: input.actor, reason: input.reason ?? '' },
      traffic: null,
      message: `version ${version} of ${model} was asked for`,
    });
    const begun = await begin(client, rollout, clock.now());
    await recordRequest(client, rollout, clock.now());
    return { kind: 'rollout', rollout: begun };
  });
}

/**
 * Inserts a rollback to the previous version. It replaces a promotion that is loading, and ends the watch over the live version.
 * Rejects NOT_FOUND, FAILED_PRECONDITION `no_previous_version`.
 */
export async function requestRollback(
  model: string,
  actor: string,
  reason: string,
  { pool, clock }: PromotionDependencies,
  options: Omit<PromotionOptions, 'pollMs'>,
): Promise<Rollout> {
  return inTransaction(pool, async (client) => {
    const state = await holdModel(client, model);
    const serving = (await activeRollouts(client, model)).find(isServing);
    if (serving) {
      await fenceRollout(client, serving);
      const message = `rolled back; version ${state.liveVersion ?? 'none'} answers everything`;
      const update = { event: 'rolled_back', message, actor, reason, isRecorded: true } as const;
      return applyEvent(client, serving, update, clock.now());
    }
    const version = state.previousVersion;
    if (version === null)
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `model ${model} has no previous version to go back to; promote another one: hotloop promote ${model} VERSION`,
        { reason: 'no_previous_version' },
      );
    await overtake(client, model, clock.now(), (rollout) => rollout.plan.mode !== 'shadow');
    const plan: RolloutPlan = {
      ...planOf({ ...(await readManifest(client, model, version)).rollout, mode: 'at_once' }, options),
      ...{ approvals: 0, guards: null, oldFailures: [] },
    };
    const rollout = await insertRollout(client, {
      ...{
        rolloutId: randomUUID(),
        model,
        version,
        fromVersion: state.liveVersion,
        action: 'rollback',
        plan,
      },
      ...{ traffic: null, salt: '', generation: state.generation, actor, reason },
      message: `going back to version ${version}`,
    });
    const update = {
      event: 'target_set',
      message: rollout.message,
      traffic: null,
      isRecorded: false,
    } as const;
    const begun = await applyEvent(client, rollout, update, clock.now());
    await recordRequest(client, rollout, clock.now());
    return begun;
  });
}

/** After the approvals, if any: requests every node to load the version. Inside the caller's transaction. */
export async function begin(client: PoolClient, rollout: Rollout, at: number): Promise<Rollout> {
  const { plan, model, version, generation, approvals } = rollout;
  if (approvals.length < plan.approvals)
    return applyEvent(
      client,
      rollout,
      {
        event: 'approval_needed',
        message: `waits for ${plan.approvals - approvals.length} approval(s) by somebody other than ${rollout.actor}`,
        isRecorded: false,
      },
      at,
    );
  if (plan.mode !== 'shadow' && !(await setTarget(client, model, version, generation)))
    return applyEvent(client, rollout, overtakenUpdate(model), at);
  return applyEvent(
    client,
    rollout,
    {
      event: 'target_set',
      message: `asking every compute node to load version ${version}`,
      traffic: { kind: 'load', salt: rollout.salt, arms: [{ version, share: 0 }] },
      isRecorded: false,
    },
    at,
  );
}

export function overtakenUpdate(model: string) {
  return {
    event: 'overtaken',
    message: `another promotion or rollback of ${model} came first`,
    failure: { code: 'ABORTED', reason: 'overtaken' },
    isRecorded: true,
  } as const;
}

/** Locks the model's row and reads it. Throws NOT_FOUND. */
async function holdModel(client: PoolClient, model: string): Promise<ModelState> {
  await lockModel(client, model);
  return readModelState(client, model);
}

/** A rollout of the same version that has finished loading; a repeated request joins it. */
async function sameRollout(
  client: PoolClient,
  model: string,
  version: number,
  mode: RolloutMode,
): Promise<Rollout | undefined> {
  return (await activeRollouts(client, model)).find(
    (rollout) =>
      rollout.version === version &&
      (rollout.plan.mode === 'shadow') === (mode === 'shadow') &&
      (isServing(rollout) || rollout.state === 'approval'),
  );
}

async function makeRoom(
  client: PoolClient,
  model: string,
  version: number,
  mode: RolloutMode,
  at: number,
): Promise<void> {
  const active = await activeRollouts(client, model);
  if (mode === 'shadow') {
    const shadows = active.filter(({ plan }) => plan.mode === 'shadow');
    if (shadows.length >= MOST_SHADOWS)
      throw new HotloopError(
        'RESOURCE_EXHAUSTED',
        `model ${model} has ${MOST_SHADOWS} shadows; end one first: hotloop rollout abort ID`,
        { reason: 'too_many_shadows' },
      );
    return;
  }
  const serving = active.find((rollout) => rollout.plan.mode !== 'shadow' && isServing(rollout));
  if (serving) throw inProgress(serving);
  await overtake(
    client,
    model,
    at,
    (rollout) => rollout.plan.mode !== 'shadow' || rollout.version === version,
  );
}

/** True if another promotion must not end the rollout without being asked to. */
function isServing({ state }: Rollout): boolean {
  return state === 'shadow' || state === 'canary' || state === 'measuring' || state === 'held';
}

function inProgress({ rolloutId, model, version, state }: Rollout): HotloopError {
  return new HotloopError(
    'FAILED_PRECONDITION',
    `a rollout of version ${version} of ${model} is in progress (${state}); end it first: hotloop rollout abort ${rolloutId}`,
    { reason: 'rollout_in_progress' },
  );
}

async function overtake(
  client: PoolClient,
  model: string,
  at: number,
  isMeant: (rollout: Rollout) => boolean,
): Promise<void> {
  for (const rollout of await activeRollouts(client, model)) {
    if (!isMeant(rollout)) continue;
    await fenceRollout(client, rollout);
    await applyEvent(
      client,
      rollout,
      { ...overtakenUpdate(model), isRecorded: rollout.state !== 'live' },
      at,
    );
  }
}

async function checkGate(
  client: PoolClient,
  runId: string | null,
  { model, version, force, reason }: PromoteInput,
): Promise<boolean> {
  if (runId === null) return false;
  const gate = (await findRun(client, runId))?.gate;
  if (!gate || gate.passed) return false;
  if (force === true && (reason ?? '').trim() !== '') return true;
  throw new HotloopError(
    'FAILED_PRECONDITION',
    `version ${version} of ${model} did not pass its gate:\n${gateTable(gate)}\n--force --reason TEXT promotes it all the same, and is recorded`,
    { reason: 'gate_failed' },
  );
}

function planOf(
  spec: RolloutSpec,
  options: Omit<PromotionOptions, 'pollMs'>,
): Omit<RolloutPlan, 'oldFailures'> {
  return {
    mode: spec.mode,
    steps: spec.steps,
    share: spec.share,
    advance: spec.advance,
    requests: spec.requests,
    everyMs: durationMs(spec.every),
    approvals: spec.approvals,
    guards: spec.rollback ?? (spec.mode === 'at_once' ? null : DEFAULT_GUARDS),
    timeoutMs: options.timeoutMs,
    oldFailureMs: options.oldFailureMs,
  };
}
