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
  /** Whether runs are executed here; otherwise they are only requested and queued. */
  readonly works: boolean;
  /** False if other processes evaluate the triggers. Default true. */
  readonly triggers?: boolean;
}

export interface Runs extends AsyncDisposable {
  /** Queues newly requested runs at once, instead of at the outbox's next pass. */
  wake(): void;
  /** Dead letters of the queue, newest first. */
  deadLetters(limit: number): Promise<DeadLetter[]>;
}

const OUTBOX_MS = 1_000;
const RESEND_MS = 15_000;
const TRIGGER_MS = 1_000;
const SEARCH_MS = 500;

/** Starts triggers, outbox and worker. Disposal stops all three; an active run is given back, and continues elsewhere or later. */
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
