import { fromPostgresError, type Pool, transaction } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { appendLedger } from '../ledger/ledger.ts';
import type { TrainingRun } from './run.ts';
import { type RunRow, runOf } from './run-store.ts';
import { getRun } from './watch-run.ts';

/**
 * Cancels a run. Its token increases, so the worker can write nothing more, and stops at its next
 * heartbeat. Throws NOT_FOUND; FAILED_PRECONDITION for a run that has ended, or whose version is already being promoted.
 */
export async function cancelRun(pool: Pool, runId: string, actor: string, at: number): Promise<TrainingRun> {
  const before = await getRun(pool, runId);
  try {
    return await transaction(pool, async (client) => {
      const { rows } = await client.query<RunRow>(
        `UPDATE training_run SET state = 'cancelled', message = $2, token = token + 1, ended_at = now(), lease_until = NULL
         WHERE run_id = $1 AND ended_at IS NULL AND state <> 'promoting' RETURNING *`,
        [runId, `cancelled by ${actor}`],
      );
      if (!rows[0])
        throw new HotloopError(
          'FAILED_PRECONDITION',
          before.endedAt === null
            ? `run ${runId} is promoting version ${before.version}; roll that back instead`
            : `run ${runId} has ended: ${before.state}`,
          { reason: 'run_not_cancellable' },
        );
      const detail = { run_id: runId, state: 'cancelled' };
      await appendLedger(client, {
        ...{ at, actor, action: 'run', model: before.model, version: null },
        detail,
      });
      return runOf(rows[0]);
    });
  } catch (error) {
    throw fromPostgresError(error);
  }
}
