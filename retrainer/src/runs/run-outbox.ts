import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '@hotloop/platform/log.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { RunQueue } from './queue/run-queue.ts';

export interface OutboxOptions {
  readonly everyMs: number;
  /** How often waiting runs are queued again, in case the queue lost them. */
  readonly resendMs: number;
  readonly log: Log;
}

/** Runs without a worker: never queued, given back, or with an expired lease. */
const UNHELD = `
  SELECT run_id, token, NOT enqueued OR lease_until IS NOT NULL AS urgent FROM training_run
  WHERE ended_at IS NULL AND (lease_until IS NULL OR lease_until < now())
  ORDER BY created_at LIMIT 1000`;

/**
 * Queues waiting runs, and returns how many. The row is written before the queue, so a run is never lost:
 * a run that the queue lost is queued again, and a run that is queued twice can be claimed by only one worker.
 */
export async function enqueueWaitingRuns(pool: Pool, queue: RunQueue, all: boolean): Promise<number> {
  const { rows } = await pool.query<{ run_id: string; token: string; urgent: boolean }>(UNHELD);
  const due = rows.filter((row) => all || row.urgent);
  for (const row of due) {
    await queue.add({ runId: row.run_id, token: Number(row.token) });
    await pool.query('UPDATE training_run SET enqueued = true WHERE run_id = $1 AND token = $2', [
      row.run_id,
      row.token,
    ]);
  }
  return due.length;
}

/** Queues waiting runs until the signal fires. Failures are logged, and the next pass tries again. */
export async function keepEnqueueing(
  pool: Pool,
  queue: RunQueue,
  options: OutboxOptions,
  signal: AbortSignal,
): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    const all = turn % Math.max(1, Math.round(options.resendMs / options.everyMs)) === 0;
    try {
      await enqueueWaitingRuns(pool, queue, all);
    } catch (error) {
      options.log.warn({ error }, 'runs could not be put into the queue; trying again');
    }
    await sleep(options.everyMs, undefined, { signal }).catch(() => undefined);
  }
}
