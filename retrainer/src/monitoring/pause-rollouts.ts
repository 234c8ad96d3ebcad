import type { Log } from '@hotloop/platform/log.ts';
import { actOnRollout } from '../rollouts/act-on-rollout.ts';
import type { PromotionDependencies } from '../rollouts/request-rollout.ts';
import { activeRollouts } from '../rollouts/rollout-store.ts';
import type { PauseRollout } from './start-monitoring.ts';

/** Holds the running rollouts of a model until a person resumes them. One that cannot be held now is left unchanged. */
export function rolloutPause(dependencies: PromotionDependencies, log: Log): PauseRollout {
  return async (model, reason) => {
    const held: string[] = [];
    for (const { rolloutId } of await activeRollouts(dependencies.pool, model))
      try {
        await actOnRollout(rolloutId, { action: 'hold', actor: 'monitoring', reason }, dependencies);
        held.push(rolloutId);
      } catch (error) {
        log.warn({ model, rolloutId, error }, 'a rollout could not be held');
      }
    return held.length === 0 ? null : `held rollout ${held.join(', ')}`;
  };
}
