import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { TrainingRun } from './run.ts';
import { findRun } from './run-store.ts';

/** A run, or NOT_FOUND. */
export async function getRun(pool: Pool, runId: string): Promise<TrainingRun> {
  if (!/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/.test(runId))
    throw new HotloopError('INVALID_ARGUMENT', 'run_id must be a UUID, as Retrain returns it');
  const run = await findRun(pool, runId);
  if (!run) throw new HotloopError('NOT_FOUND', `there is no run ${runId}`);
  return run;
}

/**
 * Yields a run at once, and at every change until it has ended. Ends early when the signal fires. Throws NOT_FOUND; waits
 * for a store that is briefly unavailable.
 */
export async function* watchRun(
  pool: Pool,
  runId: string,
  pollMs: number,
  signal: AbortSignal,
): AsyncGenerator<TrainingRun, void, undefined> {
  let run = await getRun(pool, runId);
  let told = '';
  for (;;) {
    const text = JSON.stringify(run);
    if (text !== told) yield run;
    told = text;
    if (run.endedAt !== null) return;
    await sleep(pollMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const current = run;
    run = await getRun(pool, runId).catch((error: unknown) => {
      if (error instanceof HotloopError && error.code === 'UNAVAILABLE') return current;
      throw error;
    });
  }
}
