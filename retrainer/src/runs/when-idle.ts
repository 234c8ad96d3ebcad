import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';

const LOOK_EVERY_MS = 1_000;
/** Consecutive checks without a run, because the outbox may be about to queue one. */
const QUIET_LOOKS = 3;

/** Resolves with true when no training run has been waiting or active for a while, with false when the signal fires. */
export async function whenIdle(pool: Pool, signal: AbortSignal, everyMs = LOOK_EVERY_MS): Promise<boolean> {
  for (let quiet = 0; quiet < QUIET_LOOKS; ) {
    if (signal.aborted) return false;
    const open = await pool
      .query<{ open: boolean }>('SELECT EXISTS (SELECT 1 FROM training_run WHERE ended_at IS NULL) AS open')
      .then(({ rows }) => rows[0]?.open ?? true)
      .catch(() => true);
    quiet = open ? 0 : quiet + 1;
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
  return !signal.aborted;
}
