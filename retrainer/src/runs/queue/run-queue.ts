import type { Log } from '@hotloop/platform/log.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { Queue, Worker } from 'bullmq';

const QUEUE = 'hotloop-training';
const ADD_MS = 5_000;
const CLOSE_MS = 5_000;

/** A run that waits for a worker. The token makes a run that was lost by one worker another entry than before. */
export interface QueuedRun {
  readonly runId: string;
  readonly token: number;
}

/** Carries run ids to workers. It may lose or repeat them: the rows in Postgres are the truth, and a claim decides. */
export interface RunQueue extends AsyncDisposable {
  /** Adds a run unless it waits there already. Rejects UNAVAILABLE. */
  add(run: QueuedRun): Promise<void>;
  /** Runs `work` on one run after another until disposal, which waits for the one at work. At most one consumer. */
  consume(work: (runId: string) => Promise<void>): Promise<void>;
}

export interface RunQueueOptions {
  readonly url: string;
  /** Separates deployments that share a Redis. */
  readonly prefix: string;
  /** Runs at once. */
  readonly concurrency: number;
  readonly log: Log;
}

/** BullMQ's one home. Rejects FAILED_PRECONDITION for a Redis that may evict jobs, UNAVAILABLE for one that is away. */
export async function openRunQueue(options: RunQueueOptions): Promise<RunQueue> {
  const { url, prefix, log } = options;
  const redisOptions = { role: 'queue', blocking: true, log } as const;
  const connection = await openRedis(url, { ...redisOptions, commandTimeoutMs: ADD_MS, name: 'run-queue' });
  const queue = new Queue(QUEUE, { connection, prefix });
  queue.on('error', (error) => log.warn({ error }, 'the run queue reported an error'));
  let worker: { readonly worker: Worker; close(): Promise<void> } | undefined;
  return {
    async add({ runId, token }) {
      const added = queue.add(
        'run',
        { runId },
        { jobId: `${runId}-${token}`, removeOnComplete: true, removeOnFail: true },
      );
      await withinTime(added, ADD_MS);
    },
    async consume(work) {
      if (worker) throw new HotloopError('FAILED_PRECONDITION', 'the run queue is being consumed already');
      const own = await openRedis(url, { ...redisOptions, commandTimeoutMs: ADD_MS, name: 'run-worker' });
      const running = new Worker<{ runId: string }>(QUEUE, (job) => work(String(job.data.runId)), {
        connection: own,
        prefix,
        concurrency: options.concurrency,
      });
      running.on('error', (error) => log.warn({ error }, 'the run worker reported an error'));
      worker = {
        worker: running,
        async close() {
          await running.close();
          await own[Symbol.asyncDispose]();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await withinTime(worker?.close(), CLOSE_MS).catch((error) =>
        log.warn({ error }, 'closing the run worker'),
      );
      await withinTime(queue.close(), CLOSE_MS).catch((error) =>
        log.warn({ error }, 'closing the run queue'),
      );
      await connection[Symbol.asyncDispose]();
    },
  };
}

async function withinTime(promise: Promise<unknown> | undefined, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new HotloopError('UNAVAILABLE', 'the queue did not answer in time')), ms);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
