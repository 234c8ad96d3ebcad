import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '@hotloop/platform/log.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { readCurve } from '../run-metrics.ts';
import { listRuns } from '../run-store.ts';
import { exportRun } from './export-run.ts';
import { mlflowClient } from './mlflow-client.ts';

const NEWEST = 200;

/**
 * Exports ended runs to an MLflow server until the signal fires. Runs that already exist there are not changed, so several
 * retrainers may do it, and a restart repeats nothing. A server that cannot be reached is tried again.
 */
export async function keepExporting(
  url: string,
  { pool, log }: { readonly pool: Pool; readonly log: Log },
  everyMs: number,
  signal: AbortSignal,
): Promise<void> {
  const mlflow = mlflowClient(url);
  const done = new Set<string>();
  let isAway = false;
  while (!signal.aborted) {
    try {
      for (const run of await listRuns(pool, '', NEWEST)) {
        if (run.endedAt === null || done.has(run.runId)) continue;
        await exportRun(mlflow, run, await readCurve(pool, run.runId));
        done.add(run.runId);
      }
      isAway = false;
    } catch (error) {
      if (!isAway) log.warn({ error }, 'runs could not be exported to MLflow; trying again');
      isAway = true;
    }
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}
