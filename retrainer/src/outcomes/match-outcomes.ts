import { setTimeout as sleep } from 'node:timers/promises';
import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { ModelRules } from './model-rules.ts';
import { modelsWaiting, settleOutcomes } from './waiting-outcomes.ts';

/** Matching may use at most this share of the time, however many outcomes wait. */
const DUTY = 0.1;
const LOOK_EVERY_MS = 500;

export interface MatchDependencies {
  readonly pool: Pool;
  readonly rules: ModelRules;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Matches waiting outcomes with predictions that have arrived since, in batches, until disposal. Any number of retrainers may do
 * it at the same time. It maintains the counters of the loop's state.
 */
export function startMatching({ pool, rules, clock, log }: MatchDependencies): AsyncDisposable {
  const stop = new AbortController();
  let isAway = false;
  const turn = async () => {
    try {
      for (const model of await modelsWaiting(pool, rules.models())) {
        if (stop.signal.aborted) return;
        await settleOutcomes(pool, model, windowOf(model, rules));
      }
      isAway = false;
    } catch (error) {
      if (!isAway) log.warn({ error }, 'outcomes could not be matched; trying again');
      isAway = true;
    }
  };
  const running = (async () => {
    while (!stop.signal.aborted) {
      const begun = clock.monotonic();
      await turn();
      const pause = Math.max(LOOK_EVERY_MS, (clock.monotonic() - begun) / DUTY);
      await sleep(pause, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

/** A model that was deleted, or is not in the snapshot yet, has no window, so its outcomes match nothing. */
function windowOf(model: string, rules: ModelRules): number {
  try {
    return durationMs(rules.of(model).manifest.outcome.window);
  } catch {
    return 0;
  }
}
