import { setTimeout as wait } from 'node:timers/promises';
import { toHotloopError } from '@hotloop/proto/errors.ts';
import type { Log } from '../log.ts';
import { migrate } from './migrate.ts';

const RETRY_MS = 1_000;
const TRY_MS = 2_000;

/** Migrates the database as soon as it can be reached. Disposal stops waiting. */
export function migrateWhenBack(url: string, log: Log): AsyncDisposable {
  const stop = new AbortController();
  const running = (async () => {
    while (!stop.signal.aborted) {
      try {
        await migrate(url, { log, timeoutMs: TRY_MS });
        return;
      } catch (error) {
        const { code } = toHotloopError(error);
        // An error that waiting does not fix is logged once; the registry keeps its snapshot.
        if (code !== 'UNAVAILABLE' && code !== 'DEADLINE_EXCEEDED')
          return log.error({ error }, 'the database is back but cannot be migrated');
      }
      await wait(RETRY_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}
