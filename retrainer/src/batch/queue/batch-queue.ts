import type { Log } from '@hotloop/platform/log.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { Queue, Worker } from 'bullmq';

const QUEUE = 'hotloop-batch';
const COMMAND_MS = 5_000;

/** Wakes workers for a batch run. It may lose or repeat a call: the rows in Postgres are the truth, and a claim decides. */
export interface BatchQueue extends AsyncDisposable {
  /** Calls up to `workers` workers to a run. Rejects UNAVAILABLE. */
  call(runId: string, workers: number): Promise<void>;
  /** Runs `work` for each call until disposal, which waits for the one at work. */
  answer(work: (runId: string) => Promise<void>): Promise<void>;
}

export interface BatchQueueOptions {
  readonly url: string;
  /** Separates deployments that share a Redis. */
  readonly prefix: string;
  readonly log: Log;
}

export async function openBatchQueue({ url, prefix, log }: BatchQueueOptions): Promise<BatchQueue> {
  const redis = { role: 'queue', blocking: true, log, commandTimeoutMs: COMMAND_MS } as const;
  const connection = await openRedis(url, { ...redis, name: 'batch-queue' });
  const queue = new Queue(QUEUE, { connection, prefix });
  queue.on('error', (error) => log.warn({ error }, 'the batch queue reported an error'));
  const closing: (() => Promise<void>)[] = [];
  return {
    async call(runId, workers) {
      const jobs = Array.from({ length: workers }, () => ({
        name: 'run',
        data: { runId },
        opts: { removeOnComplete: true, removeOnFail: true },
      }));
      await queue.addBulk(jobs);
    },
    async answer(work) {
      const own = await openRedis(url, { ...redis, name: 'batch-worker' });
      const worker = new Worker<{ runId: string }>(QUEUE, (job) => work(String(job.data.runId)), {
        connection: own,
        prefix,
      });
      worker.on('error', (error) => log.warn({ error }, 'the batch worker reported an error'));
      closing.push(async () => {
        await worker.close();
        await own[Symbol.asyncDispose]();
      });
    },
    async [Symbol.asyncDispose]() {
      for (const close of closing) await close();
      await queue.close().catch((error: unknown) => log.warn({ error }, 'closing the batch queue'));
      await connection[Symbol.asyncDispose]();
    },
  };
}
