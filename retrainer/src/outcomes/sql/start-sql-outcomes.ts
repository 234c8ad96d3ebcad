import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '@hotloop/platform/log.ts';
import type { ModelRules } from '../model-rules.ts';
import { readSqlOutcomes, type SqlOutcomeDependencies } from './read-sql-outcomes.ts';

const LOOK_EVERY_MS = 500;

/** Reads the outcome queries of all registered models when they are due, until disposal. Several retrainers may do it at the same time. */
export function startSqlOutcomes(
  rules: ModelRules,
  dependencies: SqlOutcomeDependencies,
  log: Log,
): AsyncDisposable {
  const stop = new AbortController();
  const running = (async () => {
    while (!stop.signal.aborted) {
      for (const [rule, spec] of rules.sqlSources()) {
        if (stop.signal.aborted) break;
        await readSqlOutcomes(rule, spec, dependencies).catch((error: unknown) =>
          log.warn({ model: rule.manifest.name, error }, 'outcomes could not be read by SQL; trying again'),
        );
      }
      await sleep(LOOK_EVERY_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}
