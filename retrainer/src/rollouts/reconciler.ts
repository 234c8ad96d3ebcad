import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '@hotloop/platform/log.ts';
import { DRIVE_DEFAULTS, type DriveOptions, driveRollout } from './drive-rollout.ts';
import type { PromotionDependencies } from './request-rollout.ts';
import { dueRollouts } from './rollout-rows.ts';

/** Drives every rollout that is due while it runs. Several reconcilers may run at the same time. */
export interface Reconciler extends AsyncDisposable {
  /** Checks at once instead of at the next pass. */
  wake(): void;
}

/** Starts the reconciler. Disposal waits for a write in progress; unfinished rollouts continue elsewhere or later. */
export function startReconciler(
  dependencies: PromotionDependencies,
  log: Log,
  options: DriveOptions = DRIVE_DEFAULTS,
): Reconciler {
  const stop = new AbortController();
  let awake = new AbortController();
  let isAway = false;
  const turn = async () => {
    try {
      for (const rolloutId of await dueRollouts(dependencies.pool)) {
        if (stop.signal.aborted) return;
        await driveRollout(rolloutId, dependencies, options).catch((error: unknown) =>
          log.warn({ rolloutId, error }, 'a rollout could not be driven; it is tried again'),
        );
      }
      isAway = false;
    } catch (error) {
      if (!isAway) log.warn({ error }, 'rollouts cannot be read; trying again');
      isAway = true;
    }
  };
  const running = (async () => {
    while (!stop.signal.aborted) {
      awake = new AbortController();
      await turn();
      const signal = AbortSignal.any([stop.signal, awake.signal]);
      await sleep(options.pollMs, undefined, { signal }).catch(() => undefined);
    }
  })();
  return {
    wake: () => awake.abort(),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}
