import type { Log } from '@hotloop/platform/log.ts';
import { fromPostgresError, isPostgresAway } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import { type RetrainDependencies, type RetrainOptions, retrain } from '../improve/retrain.ts';
import type { RetrainHooks } from '../improve/trainer.ts';
import { curveWriter } from './run-metrics.ts';
import { advanceRun, claimRun, extendLease, type RunClaim, releaseRun, reportProgress } from './run-store.ts';

export interface WorkerOptions extends RetrainOptions {
  /** After this time without a heartbeat, another worker takes over the run. */
  readonly leaseMs: number;
  /** A run fails after this many attempts without an end. */
  readonly maxAttempts: number;
  readonly log: Log;
}

const PROGRESS_EVERY_MS = 250;

/**
 * Claims one run, executes it, and extends its lease meanwhile. Never rejects: a permanent failure is written into the run. After a
 * temporary failure (a store is unavailable, the training process was killed) or a stop of the service the run is given back to be
 * tried again. A stale claim writes nothing.
 */
export async function workOnRun(
  runId: string,
  dependencies: RetrainDependencies,
  options: WorkerOptions,
  signal: AbortSignal,
): Promise<void> {
  const log = options.log.child({ runId });
  let claim: RunClaim | null = null;
  try {
    claim = await claimRun(dependencies.pool, runId, options.leaseMs);
    if (claim === null) return;
    log.info({ model: claim.run.model, attempt: claim.token }, 'a training run begins');
    const ended = await underLease(claim, dependencies, options, signal);
    log.info({ state: ended.state, version: ended.version }, ended.message);
  } catch (error) {
    if (claim === null) log.warn({ error }, 'a run could not be claimed; it stays in line');
    else await settle(claim, error, dependencies, options, signal);
  }
}

async function underLease(
  claim: RunClaim,
  dependencies: RetrainDependencies,
  options: WorkerOptions,
  signal: AbortSignal,
) {
  if (claim.token > options.maxAttempts)
    throw new HotloopError(
      'RESOURCE_EXHAUSTED',
      `given up after ${options.maxAttempts} attempts that did not end`,
      {
        reason: 'too_many_attempts',
      },
    );
  const lost = new AbortController();
  const heartbeat = setInterval(() => {
    extendLease(dependencies.pool, claim, options.leaseMs).catch((error: unknown) => {
      // Postgres may be unavailable for a moment; only a newer claim ends the work.
      if (toHotloopError(error).reason === 'stale_token') lost.abort(error);
    });
  }, options.leaseMs / 3);
  const progress = progressWriter(claim, dependencies);
  const curve = curveWriter(dependencies.pool, claim);
  try {
    return await retrain(claim, dependencies, options, {
      onProgress: progress.onProgress,
      onCurve: curve.add,
      signal: AbortSignal.any([signal, lost.signal]),
    });
  } finally {
    clearInterval(heartbeat);
    await Promise.all([progress.settled(), curve.settled()]);
  }
}

/** Writes progress at most a few times a second, one write at a time; the next write includes skipped progress. */
function progressWriter(claim: RunClaim, { pool, clock }: RetrainDependencies) {
  let writing: Promise<void> = Promise.resolve();
  let isWriting = false;
  let last = Number.NEGATIVE_INFINITY;
  const onProgress: RetrainHooks['onProgress'] = (progress, message) => {
    const now = clock.monotonic();
    if (isWriting || now - last < PROGRESS_EVERY_MS) return;
    last = now;
    isWriting = true;
    writing = reportProgress(pool, claim, progress, message)
      .catch(() => undefined)
      .finally(() => {
        isWriting = false;
      });
  };
  return { onProgress, settled: () => writing };
}

async function settle(
  claim: RunClaim,
  error: unknown,
  { pool, clock }: RetrainDependencies,
  { log, maxAttempts }: WorkerOptions,
  signal: AbortSignal,
): Promise<void> {
  const { runId } = claim.run;
  const known = isPostgresAway(error) ? fromPostgresError(error) : toHotloopError(error);
  try {
    if (known.reason === 'stale_token') return log.warn({ runId }, 'another worker has taken the run over');
    if (signal.aborted || (known.code === 'UNAVAILABLE' && claim.token < maxAttempts)) {
      log.warn({ runId, error }, 'the run is given back');
      return await releaseRun(pool, claim);
    }
    log.error({ runId, error }, 'the run failed');
    await advanceRun(pool, claim, 'failed', { message: known.message }, clock.now());
  } catch (failure) {
    if (toHotloopError(failure).reason === 'stale_token')
      return log.warn({ runId }, 'another worker has taken the run over');
    // The lease expires, and another worker takes over the run.
    log.error({ runId, error: failure }, 'the end of the run could not be written');
  }
}
