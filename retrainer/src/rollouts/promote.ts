import { setTimeout as sleep } from 'node:timers/promises';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { DRIVE_DEFAULTS, driveRollout } from './drive-rollout.ts';
import {
  type PromoteInput,
  type PromotionDependencies,
  type PromotionOptions,
  requestPromotion,
  requestRollback,
} from './request-rollout.ts';
import type { Rollout, RolloutChange } from './rollout.ts';
import { changesAfter, findRollout } from './rollout-rows.ts';
import { isRolloutEnded, type RolloutState } from './rollout-state.ts';

export type { PromoteInput, PromotionDependencies, PromotionOptions };

export interface PromotionProgress {
  readonly state: RolloutState;
  readonly message: string;
  /** 0 if nothing was live. */
  readonly fromVersion: number;
  readonly toVersion: number;
  readonly generation: number;
}

export const PROMOTION_DEFAULTS: PromotionOptions = { timeoutMs: 120_000, pollMs: 100, oldFailureMs: 5_000 };

export type Report = (progress: PromotionProgress) => void;

/**
 * Requests a rollout of a version and watches it until the version is live, or until the rollout has started a long phase (approval,
 * shadow, canary, split). The rollout is a row that the reconciler drives, so it continues if the caller leaves. Resolves with the
 * model's generation. Rejects as `requestPromotion`, and ABORTED (another promotion or rollback came first), FAILED_PRECONDITION (a
 * node cannot load it; with the node's reason), DEADLINE_EXCEEDED (not ready in time), CANCELLED for the watch alone.
 */
export async function promote(
  input: PromoteInput,
  dependencies: PromotionDependencies,
  options: PromotionOptions,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const requested = await requestPromotion(input, dependencies, options);
  if (requested.kind === 'rollout') return watch(requested.rollout, dependencies, options, report, signal);
  const { generation, liveVersion } = requested.state;
  const message = `version ${input.version} is live already`;
  report({
    ...{ state: 'live', message, generation, toVersion: input.version },
    fromVersion: liveVersion ?? 0,
  });
  return generation;
}

/**
 * Returns to the previous version, or ends a rollout's trial of a version. The previous version is still loaded everywhere, so
 * the flip is immediate, unless a node has lost it, which is waited for. Rejects as `requestRollback` and `promote`.
 */
export async function rollback(
  model: string,
  actor: string,
  dependencies: PromotionDependencies,
  options: PromotionOptions,
  report: Report,
  signal: AbortSignal,
  reason = '',
): Promise<number> {
  const rollout = await requestRollback(model, actor, reason, dependencies, options);
  return watch(rollout, dependencies, options, report, signal);
}

/** States that may last long: the caller stops waiting here. */
const HANDED_OVER: ReadonlySet<RolloutState> = new Set([
  'approval',
  'shadow',
  'canary',
  'measuring',
  'held',
  'live',
]);

/** Yields every change. It also drives the rollout, so that it does not depend on a running reconciler. */
async function watch(
  rollout: Rollout,
  dependencies: PromotionDependencies,
  options: PromotionOptions,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const { rolloutId } = rollout;
  let seen = 0;
  for (;;) {
    signal.throwIfAborted();
    await driveRollout(rolloutId, dependencies, { ...DRIVE_DEFAULTS, pollMs: options.pollMs });
    const changes = await changesAfter(dependencies.pool, rolloutId, seen);
    for (const change of changes) {
      seen = change.sequence;
      if (TOLD.has(change.state)) report(progressOf(rollout, change));
    }
    const now = await findRollout(dependencies.pool, rolloutId);
    // The last row may have been written after the changes were read.
    if (changes.length === 0 || now.state === changes.at(-1)?.state) {
      if (now.state === 'failed') throw failureOf(now);
      if (isRolloutEnded(now.state) || HANDED_OVER.has(now.state)) return generationOf(now);
    }
    await sleep(options.pollMs, undefined, { signal });
  }
}

/** `settled` only means that the version is no longer watched. */
const TOLD: ReadonlySet<RolloutState> = new Set([
  'approval',
  'loading',
  'warming',
  'ready',
  'shadow',
  'canary',
  'measuring',
  'flipping',
  'live',
  'rolled_back',
  'aborted',
  'failed',
]);

function progressOf(rollout: Rollout, { state, message }: RolloutChange): PromotionProgress {
  const { fromVersion, version, action } = rollout;
  const isBack = state === 'rolled_back' && action === 'promote';
  const generation = state === 'live' ? rollout.generation + 1 : rollout.generation;
  // After the rollback of a trial, the live version is the one that was live all the time.
  return isBack
    ? { state: 'live', message, fromVersion: version, toVersion: fromVersion ?? 0, generation }
    : { state, message, fromVersion: fromVersion ?? 0, toVersion: version, generation };
}

function generationOf({ flippedAt, generation, state }: Rollout): number {
  if (flippedAt === null) return generation;
  return state === 'rolled_back' ? generation + 2 : generation + 1;
}

function failureOf({ model, version, message, failure }: Rollout): HotloopError {
  return new HotloopError(
    failure?.code ?? 'FAILED_PRECONDITION',
    `version ${version} of ${model} did not become live: ${message}`,
    { reason: failure?.reason ?? '' },
  );
}
