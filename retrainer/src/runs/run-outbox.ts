import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '@hotloop/platform/log.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { RunQueue } from './queue/run-queue.ts';

export interface OutboxOptions {
  readonly everyMs: number;
  /** Every run that waits is put into the queue again this often, in case the queue lost it. */
  readonly resendMs: number;
  readonly log: Log;
}

/** Runs nobody holds: never put into the queue, given back, or whose worker let its lease end. */
const UNHELD = `
  SELECT run_id, token, NOT enqueued OR lease_until IS NOT NULL AS urgent FROM training_run
  WHERE ended_at IS NULL AND (lease_until IS NULL OR lease_until < now())
  ORDER BY created_at LIMIT 1000`;

/**
 * Puts runs that wait into the queue. Returns how many. The row comes first and the queue after, so a run is never lost:
 * whatever the queue forgets is put there again, and what it holds twice only one worker can claim.
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

/** Looks for waiting runs until the signal fires. Failures are logged and tried again at the next turn. */
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
