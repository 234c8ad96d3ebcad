import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '@hotloop/platform/log.ts';
import { toHotloopError } from '@hotloop/proto/errors.ts';
import { keepScorer } from '../scoring/kept-scorer.ts';
import { checkAllowed } from './allowed-files.ts';
import { type BatchClaim, FINISH, PLANNING } from './batch-run.ts';
import { batchProgress, claimPart, extendPart, readBatchRun, releasePart, stopBatch } from './batch-store.ts';
import type { BatchQueue } from './queue/batch-queue.ts';
import { type PartDependencies, type PartOptions, runPart } from './run-part.ts';
import { discardParts } from './sink.ts';

export interface BatchWorkerOptions extends PartOptions {
  /** How long a worker may be silent before another takes its part over. */
  readonly leaseMs: number;
  /** A part that was begun this often without an end fails its run. */
  readonly maxAttempts: number;
  /** How often waiting work is looked for without being called. */
  readonly sweepMs: number;
  readonly log: Log;
}

export interface BatchWorker extends AsyncDisposable {}

/**
 * Works on batch parts, one at a time, until disposal: called by the queue, and by itself for what the queue has lost. Disposal
 * gives the part at work back.
 */
export async function startBatchWorker(
  queue: BatchQueue,
  given: Omit<PartDependencies, 'scorers'>,
  options: BatchWorkerOptions,
): Promise<BatchWorker> {
  const scorers = keepScorer(given.bundles);
  const dependencies = { ...given, scorers };
  const stopping = new AbortController();
  let turn: Promise<void> = Promise.resolve();
  const drain = (runId: string): Promise<void> => {
    turn = turn.then(async () => {
      while (!stopping.signal.aborted) {
        const claim = await claimPart(dependencies.pool, options.leaseMs, runId);
        if (claim === null) return scorers[Symbol.dispose]();
        await work(claim, queue, dependencies, options, stopping.signal);
      }
    });
    turn = turn.catch((error: unknown) => options.log.warn({ error }, 'batch work could not be claimed'));
    return turn;
  };
  await queue.answer(drain);
  const sweeping = (async () => {
    while (!stopping.signal.aborted) {
      await drain('');
      await sleep(options.sweepMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.all([turn, sweeping]);
      scorers[Symbol.dispose]();
    },
  };
}

/** Never rejects: a failure that may pass gives the part back; any other ends the run with its message. */
async function work(
  claim: BatchClaim,
  queue: BatchQueue,
  dependencies: PartDependencies,
  options: BatchWorkerOptions,
  stopping: AbortSignal,
): Promise<void> {
  const { pool } = dependencies;
  const log = options.log.child({ runId: claim.run.runId, part: claim.part });
  const lost = new AbortController();
  const heartbeat = setInterval(() => {
    extendPart(pool, claim, options.leaseMs).catch((error: unknown) => {
      if (toHotloopError(error).reason === 'stale_token') lost.abort(error);
    });
  }, options.leaseMs / 3);
  const signal = AbortSignal.any([stopping, lost.signal]);
  try {
    await runPart(claim, dependencies, options, signal);
    log.info(`batch ${nameOf(claim.part)} done`);
    if (claim.part === PLANNING) {
      const { parts } = await batchProgress(pool, claim.run.runId);
      await queue.call(claim.run.runId, Math.min(parts, 64)).catch(() => undefined);
    }
  } catch (error) {
    const known = toHotloopError(error);
    if (known.reason === 'stale_token' || lost.signal.aborted) {
      log.warn('another worker has taken the part over, or the run has ended');
      return await discardEnded(claim, dependencies, options);
    }
    const mayPass = stopping.aborted || (known.code === 'UNAVAILABLE' && claim.token < options.maxAttempts);
    if (mayPass) {
      log.warn({ error }, 'the part is given back');
      await releasePart(pool, claim).catch(() => undefined);
      if (!stopping.aborted) await sleep(1000, undefined, { signal: stopping }).catch(() => undefined);
      return;
    }
    log.error({ error }, 'the batch failed');
    await stopBatch(pool, claim.run.runId, 'failed', known.message).catch((failure: unknown) =>
      log.error({ error: failure }, 'the end of the batch could not be written'),
    );
    await discardEnded(claim, dependencies, options);
  } finally {
    clearInterval(heartbeat);
  }
}

/** Removes the parts of a run that failed or was cancelled; those of a run that goes on stay. Never rejects. */
async function discardEnded(
  { run }: BatchClaim,
  { pool }: PartDependencies,
  { folder, files, log }: BatchWorkerOptions,
): Promise<void> {
  try {
    const now = await readBatchRun(pool, run.runId);
    if (now?.state !== 'failed' && now?.state !== 'cancelled') return;
    await checkAllowed(run.sink, files);
    await discardParts(run, join(folder, run.runId));
  } catch (error) {
    log.debug({ error }, 'the parts of an ended batch stay where they are');
  }
}

function nameOf(part: number): string {
  return part === PLANNING ? 'planning' : part === FINISH ? 'finish' : `part ${part}`;
}
