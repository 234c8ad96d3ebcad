import type { RetrainDependencies } from '../improve/retrain.ts';
import { keepSearching } from './drive-search.ts';
import type { DeadLetter, RunQueue } from './queue/run-queue.ts';
import { enqueueWaitingRuns, keepEnqueueing } from './run-outbox.ts';
import { findRun } from './run-store.ts';
import { keepTriggering, type TriggerDependencies } from './run-triggers.ts';
import { type WorkerOptions, workOnRun } from './run-worker.ts';

export interface RunsDependencies extends TriggerDependencies {
  readonly queue: RunQueue;
}

export interface RunsOptions extends WorkerOptions {
  /** Whether runs are worked on here; without it they are only asked for and put in line. */
  readonly works: boolean;
  /** False: runs are asked for by others. Default true. */
  readonly triggers?: boolean;
}

export interface Runs extends AsyncDisposable {
  /** Puts runs that were just asked for in line at once, rather than at the outbox's next turn. */
  wake(): void;
  /** Jobs of the queue that could not be a run, newest first. */
  deadLetters(limit: number): Promise<DeadLetter[]>;
}

const OUTBOX_MS = 1_000;
const RESEND_MS = 15_000;
const TRIGGER_MS = 1_000;
const SEARCH_MS = 500;

/** Triggers, outbox and worker. Disposal stops all three; a run at work is given back, and goes on elsewhere or later. */
export async function startRuns(
  dependencies: RunsDependencies,
  retraining: RetrainDependencies,
  options: RunsOptions,
): Promise<Runs> {
  const { pool, queue, log } = dependencies;
  const stop = new AbortController();
  const loops = [
    keepEnqueueing(pool, queue, { everyMs: OUTBOX_MS, resendMs: RESEND_MS, log }, stop.signal),
    ...(options.triggers === false
      ? []
      : [
          keepTriggering(dependencies, TRIGGER_MS, stop.signal),
          keepSearching(dependencies, SEARCH_MS, stop.signal),
        ]),
  ];
  const atWork = new Set<Promise<void>>();
  if (options.works)
    await queue.consume(async (runId) => {
      if ((await findRun(pool, runId)) === null) return 'there is no such run in Postgres';
      const work = workOnRun(runId, retraining, options, stop.signal).finally(() => atWork.delete(work));
      atWork.add(work);
      await work;
      return undefined;
    });
  return {
    wake() {
      enqueueWaitingRuns(pool, queue, false).catch((error: unknown) =>
        log.warn({ error }, 'a run could not be put in line at once; the outbox will'),
      );
    },
    deadLetters: (limit) => queue.deadLetters(limit),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all([...loops, ...atWork]);
    },
  };
}
