import type { PoolClient } from '@hotloop/platform/postgres/pool.ts';
import { NODE_ALIVE_SECONDS } from '@hotloop/platform/registry/node-liveness.ts';
import { toHotloopError } from '@hotloop/proto/errors.ts';
import { advanceOf, banditShareOf, lookAgainMs, waitingMessage, watchLeftMs } from './decide-step.ts';
import { judgeQuality, type QualityVerdict } from './judge-quality.ts';
import { judgeSlices, sliceBreach } from './judge-slices.ts';
import { breachOf } from './judge-traffic.ts';
import { clearTarget, flipWithin, readModelState, readNodeReports } from './promotion-store.ts';
import { readQuality } from './read-quality.ts';
import { readTraffic } from './read-traffic.ts';
import { begin, overtakenUpdate, type PromotionDependencies } from './request-rollout.ts';
import type { Evidence, Rollout } from './rollout.ts';
import { eventOfReports, isRolloutEnded, type NodeReport } from './rollout-state.ts';
import { DEFAULT_GUARDS, firstStep, type NextStep, nextShare, stepAfter } from './rollout-steps.ts';
import {
  applyEvent,
  changeRollout,
  claimRollout,
  type RolloutClaim,
  type RolloutUpdate,
  releaseRollout,
  reportMessage,
} from './rollout-store.ts';

export interface DriveOptions {
  /** Lease of a driver: after this time, another one takes over. */
  readonly leaseMs: number;
  /** Interval between checks of the nodes, in milliseconds. */
  readonly pollMs: number;
  /** Interval between checks of the evidence, in milliseconds. */
  readonly evidenceMs: number;
}

export const DRIVE_DEFAULTS: DriveOptions = { leaseMs: 5_000, pollMs: 100, evidenceMs: 2_000 };

type Update = Omit<RolloutUpdate, 'isRecorded'> & { readonly isRecorded?: boolean };

/**
 * Advances a rollout by one step: claims it, reads its state, decides, and writes the result in one transaction under the claim's token.
 * If the process ends at any point, either the old version or the new one is live, and the next driver continues from
 * there. Several drivers may run at the same time. Does nothing for a rollout that has ended or that another driver has claimed.
 */
export async function driveRollout(
  rolloutId: string,
  dependencies: PromotionDependencies,
  options: DriveOptions,
): Promise<void> {
  const claim = await claimRollout(dependencies.pool, rolloutId, options.leaseMs);
  if (claim === null) return;
  try {
    await drive(claim, dependencies, options);
  } catch (error) {
    if (toHotloopError(error).reason === 'stale_token') return;
    await releaseRollout(dependencies.pool, claim, options.evidenceMs).catch(() => undefined);
    throw error;
  }
}

async function drive(claim: RolloutClaim, dependencies: PromotionDependencies, options: DriveOptions) {
  const { pool, clock } = dependencies;
  const { rollout } = claim;
  switch (rollout.state) {
    case 'approval':
      return releaseRollout(pool, claim, 60_000);
    case 'requested':
      await changeRollout(pool, claim, (client, current) => begin(client, current, clock.now()));
      return releaseRollout(pool, claim, 0);
    case 'loading':
    case 'warming':
    case 'ready':
    case 'flipping':
      return driveLoading(claim, dependencies, options);
    case 'shadow':
    case 'canary':
    case 'measuring':
    case 'held':
      return driveServing(claim, dependencies, options);
    case 'live':
      return driveWatching(claim, dependencies, options);
    case 'reverting':
      return driveReverting(claim, dependencies, options);
    case 'settled':
    case 'rolled_back':
    case 'aborted':
    case 'failed':
      return;
  }
}

async function driveLoading(claim: RolloutClaim, dependencies: PromotionDependencies, options: DriveOptions) {
  const { pool, clock } = dependencies;
  const { rollout } = claim;
  const { model, version, plan } = rollout;
  if (await isOvertaken(rollout, dependencies)) return finish(claim, dependencies, overtakenUpdate(model));
  const reports = await readNodeReports(pool, model, version);
  const waitedMs = clock.now() - rollout.stepAt;
  const old = waitedMs < plan.oldFailureMs ? new Set(plan.oldFailures) : new Set<string>();
  const believed = reports.map((report) =>
    report.state === 'failed' && old.has(report.node) ? { ...report, state: 'cold' } : report,
  );
  const event = eventOfReports(believed);
  const message = describe(event, believed);
  if (event === 'node_failed') {
    const reason = believed.find((report) => report.state === 'failed')?.reason || 'load_failed';
    const failure = { code: 'FAILED_PRECONDITION', reason } as const;
    return finish(claim, dependencies, { event, message, failure });
  }
  if (event !== 'nodes_ready' && waitedMs >= plan.timeoutMs) {
    const failure = { code: 'DEADLINE_EXCEEDED', reason: 'load_timed_out' } as const;
    const late = `not ready after ${plan.timeoutMs} ms: ${message}`;
    return finish(claim, dependencies, { event: 'timed_out', message: late, failure });
  }
  if (event !== 'nodes_ready') {
    const isNew = message !== rollout.message || rollout.state !== stateOf(event);
    if (isNew) await change(claim, dependencies, [{ event, message, isRecorded: false }]);
    return releaseRollout(pool, claim, options.pollMs);
  }
  await changeRollout(pool, claim, async (client, current) => {
    const ready = await applyEvent(client, current, { event, message, isRecorded: false }, clock.now());
    await take(client, ready, firstStep(ready), dependencies);
  });
  return releaseRollout(pool, claim, 0);
}

async function driveServing(claim: RolloutClaim, dependencies: PromotionDependencies, options: DriveOptions) {
  const { pool, clock } = dependencies;
  const { rollout } = claim;
  if (await isOvertaken(rollout, dependencies))
    return finish(claim, dependencies, overtakenUpdate(rollout.model));
  const { evidence, breach, verdict } = await gather(rollout, dependencies);
  if (breach !== null)
    return finish(claim, dependencies, { event: 'breached', message: `rolled back: ${breach}`, evidence });
  if (rollout.state !== 'held') {
    const update = advanceOf(rollout, evidence, verdict, clock.now());
    if (update !== null) {
      await changeRollout(pool, claim, (client, current) =>
        take(client, current, stepAfter(current), dependencies, { evidence, reason: update }),
      );
      return releaseRollout(pool, claim, 0);
    }
    const share = banditShareOf(rollout, verdict);
    if (share !== null) {
      const traffic = {
        kind: 'split',
        salt: rollout.salt,
        arms: [{ version: rollout.version, share }],
      } as const;
      const message = `version ${rollout.version} answers ${(share * 100).toFixed(0)} % of the entities`;
      await change(claim, dependencies, [{ event: 'step_advanced', message, traffic, evidence }]);
    }
  }
  const message = rollout.state === 'held' ? rollout.message : waitingMessage(rollout, evidence, verdict);
  if (message !== rollout.message) await reportMessage(pool, claim, message, evidence);
  return releaseRollout(pool, claim, lookAgainMs(rollout, clock.now(), options), evidence);
}

async function driveWatching(
  claim: RolloutClaim,
  dependencies: PromotionDependencies,
  options: DriveOptions,
) {
  const { pool, clock } = dependencies;
  const { rollout } = claim;
  const { guards } = rollout.plan;
  const now = await readModelState(pool, rollout.model);
  const isStillLive = now.generation === rollout.generation + 1 && now.liveVersion === rollout.version;
  const leftMs = guards === null ? 0 : watchLeftMs(rollout, guards, clock.now());
  if (!isStillLive || rollout.fromVersion === null || leftMs <= 0)
    return finish(claim, dependencies, { event: 'settled', message: `version ${rollout.version} is live` });
  const { evidence, breach } = await gather(rollout, dependencies);
  if (breach === null) return releaseRollout(pool, claim, Math.min(options.evidenceMs, leftMs), evidence);
  const message = `going back to version ${rollout.fromVersion}: ${breach}`;
  await change(claim, dependencies, [{ event: 'breached', message, evidence, isRecorded: true }]);
  return releaseRollout(pool, claim, 0);
}

/** The former version is still loaded everywhere, as the model's previous one, so the first check finds it ready. */
async function driveReverting(
  claim: RolloutClaim,
  dependencies: PromotionDependencies,
  options: DriveOptions,
) {
  const { pool, clock } = dependencies;
  const { rollout } = claim;
  const { model, fromVersion, message } = rollout;
  if (fromVersion === null) return finish(claim, dependencies, overtakenUpdate(model));
  const reports = await readNodeReports(pool, model, fromVersion);
  if (eventOfReports(reports) !== 'nodes_ready' && clock.now() - rollout.stateAt < rollout.plan.timeoutMs)
    return releaseRollout(pool, claim, options.pollMs);
  await changeRollout(pool, claim, async (client, current) => {
    const generation = await flipWithin(client, {
      ...{ model, version: fromVersion, generation: rollout.generation + 1, action: 'rollback' },
      ...{ actor: 'hotloop', at: clock.now() },
      detail: { rollout_id: rollout.rolloutId, reason: message, evidence: rollout.evidence },
    });
    const update: RolloutUpdate =
      generation === null
        ? overtakenUpdate(model)
        : {
            event: 'reverted',
            message: `version ${fromVersion} is live again: ${message}`,
            isRecorded: true,
          };
    await applyEvent(client, current, update, clock.now());
  });
}

/** Applies a step, which may be the flip, inside the caller's transaction. */
export async function take(
  client: PoolClient,
  rollout: Rollout,
  next: NextStep,
  { clock }: PromotionDependencies,
  about: { readonly evidence?: Evidence; readonly reason?: string; readonly actor?: string } = {},
): Promise<Rollout> {
  const { model, version, action, generation } = rollout;
  const isFlip = next.event === 'flip_begun';
  const { event, message, step } = next;
  const traffic = isFlip ? {} : { traffic: next.traffic };
  const begun = await applyEvent(
    client,
    rollout,
    { event, message, step, ...traffic, ...about, isRecorded: !isFlip },
    clock.now(),
  );
  if (!isFlip) return begun;
  // Several shadows and a canary share the model's target, which the flip expects.
  if (rollout.plan.mode === 'shadow')
    await client.query('UPDATE model SET target_version = $2 WHERE name = $1', [model, version]);
  const flipped = await flipWithin(client, {
    ...{ model, version, generation, action, actor: rollout.actor, at: clock.now() },
    detail: { rollout_id: rollout.rolloutId, reason: about.reason ?? rollout.reason },
  });
  if (flipped === null) return applyEvent(client, begun, overtakenUpdate(model), clock.now());
  const live = await applyEvent(
    client,
    begun,
    { event: 'flipped', message: `version ${version} is live`, traffic: null, isRecorded: false },
    clock.now(),
  );
  if (rollout.plan.guards !== null && action === 'promote') return live;
  const settled = { event: 'settled', message: live.message, isRecorded: false } as const;
  return applyEvent(client, live, settled, clock.now());
}

interface Gathered {
  readonly evidence: Evidence;
  /** Why it must be rolled back; null if there is no reason. */
  readonly breach: string | null;
  readonly verdict: QualityVerdict | null;
}

async function gather(rollout: Rollout, { pool, clock }: PromotionDependencies): Promise<Gathered> {
  const guards = rollout.plan.guards ?? DEFAULT_GUARDS;
  const [traffic, quality] = await Promise.all([
    readTraffic(pool, rollout, clock.now()),
    readQuality(pool, rollout, clock.now()),
  ]);
  const verdict = quality
    ? judgeQuality(quality.sums, {
        drop: guards.metric_drop,
        minOutcomes: guards.min_outcomes,
        nextShare: nextShare(rollout),
      })
    : null;
  const slices = quality
    ? judgeSlices(quality.slices, { drop: guards.metric_drop, minOutcomes: guards.min_outcomes })
    : [];
  const evidence: Evidence = {
    traffic,
    ...(slices.length > 0 ? { slices } : {}),
    ...(verdict ? { quality: verdict } : {}),
    ...(quality ? { outcomesPerDay: quality.outcomesPerDay } : {}),
  };
  const breach =
    breachOf(traffic, guards) ??
    (verdict?.kind === 'roll_back' ? verdict.message : sliceBreach(slices, guards.metric_drop));
  return { evidence, breach, verdict };
}

async function isOvertaken(rollout: Rollout, { pool }: PromotionDependencies): Promise<boolean> {
  const { model, version, generation, plan, action } = rollout;
  const now = await readModelState(pool, model);
  if (plan.mode === 'shadow') return now.liveVersion === version;
  const expected = action === 'promote' ? now.targetVersion : now.previousVersion;
  return now.generation !== generation || expected !== version;
}

/** Applies the final event, which is recorded, and withdraws the request to load the version. */
async function finish(
  claim: RolloutClaim,
  dependencies: PromotionDependencies,
  update: Update,
): Promise<void> {
  await change(claim, dependencies, [{ ...update, isRecorded: update.isRecorded ?? true }]);
}

async function change(
  claim: RolloutClaim,
  { pool, clock }: PromotionDependencies,
  updates: readonly Update[],
) {
  await changeRollout(pool, claim, async (client, rollout) => {
    let current = rollout;
    for (const update of updates) {
      current = await applyEvent(client, current, { isRecorded: true, ...update }, clock.now());
      await withdrawWish(client, current);
    }
  });
}

/** Withdraws the request to load the version for a rollout that ends without the flip. */
export async function withdrawWish(client: PoolClient, rollout: Rollout): Promise<void> {
  const { state, model, version, generation, flippedAt } = rollout;
  if (isRolloutEnded(state) && flippedAt === null) await clearTarget(client, model, version, generation);
}

function stateOf(event: 'node_loading' | 'node_warming'): Rollout['state'] {
  return event === 'node_loading' ? 'loading' : 'warming';
}

function describe(event: string, reports: readonly NodeReport[]): string {
  if (reports.length === 0) return `no compute node has been seen in the last ${NODE_ALIVE_SECONDS} s`;
  const failed = reports.find((report) => report.state === 'failed');
  if (event === 'node_failed' && failed)
    return `node ${failed.node}: ${failed.detail || 'it cannot be loaded'}`;
  const ready = reports.filter((report) => report.state === 'ready').length;
  return `${ready} of ${reports.length} nodes ready`;
}
