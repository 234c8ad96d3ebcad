import type { Log } from '@hotloop/platform/log.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { within } from '@hotloop/platform/within.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { Queue, Worker } from 'bullmq';

const QUEUE = 'hotloop-training';
const DEAD = 'hotloop-training-dead-letters';
const MOST_DEAD = 1_000;
const MOST_TEXT = 2_000;
const MOST_NAME = 100;
const RUN_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const ADD_MS = 5_000;
const CLOSE_MS = 5_000;

/** A run that waits for a worker. The token makes a new entry for a run that a worker lost. */
export interface QueuedRun {
  readonly runId: string;
  readonly token: number;
}

/** A dead letter: a job that could not be processed. */
export interface DeadLetter {
  /** RFC 3339. */
  readonly at: string;
  readonly reason: string;
  /** The job's data, at most 2,000 characters of JSON. */
  readonly job: string;
}

/** Delivers run ids to workers. It may lose or repeat them: the rows in Postgres are authoritative, and a worker must claim a run. */
export interface RunQueue extends AsyncDisposable {
  /** Adds a run unless it is already queued. Rejects UNAVAILABLE. */
  add(run: QueuedRun): Promise<void>;
  /**
   * Calls `work` for one run after another until disposal, which waits for the current one. At most one consumer. A job that is not a
   * run, or for which `work` returns a reason, becomes a dead letter.
   */
  consume(work: (runId: string) => Promise<string | undefined>): Promise<void>;
  /** Dead letters, newest first. */
  deadLetters(limit: number): Promise<DeadLetter[]>;
}

export interface RunQueueOptions {
  readonly url: string;
  /** Separates deployments that share a Redis. */
  readonly prefix: string;
  /** Number of concurrent runs. */
  readonly concurrency: number;
  readonly log: Log;
}

/** Opens the queue with BullMQ. Rejects FAILED_PRECONDITION for a Redis that may evict jobs, UNAVAILABLE for one that cannot be reached. */
export async function openRunQueue(options: RunQueueOptions): Promise<RunQueue> {
  const { url, prefix, log } = options;
  const redisOptions = { role: 'queue', blocking: true, log } as const;
  const connection = await openRedis(url, { ...redisOptions, commandTimeoutMs: ADD_MS, name: 'run-queue' });
  const queue = new Queue(QUEUE, { connection, prefix });
  const dead = new Queue<DeadLetter>(DEAD, { connection, prefix });
  dead.on('error', (error) => log.warn({ error }, 'the queue of dead letters reported an error'));
  const bury = async (name: string | undefined, data: unknown, reason: string) => {
    log.warn(
      { job: name?.slice(0, MOST_NAME), reason },
      'a job of the run queue was put with the dead letters',
    );
    const letter = { at: new Date().toISOString(), reason, job: textOf({ name, data }) };
    await dead.add('dead', letter, { attempts: 1 });
    if ((await dead.getWaitingCount()) > MOST_DEAD) await dead.clean(0, MOST_DEAD / 10, 'wait');
  };
  /** BullMQ cannot read a job that is not JSON, so it would leave it among the active ones. */
  const buryUnreadable = async () => {
    const active = queue.toKey('active');
    for (const id of await connection.lrange(active, 0, -1)) {
      const isReadable = await queue.getJob(id).then(
        () => true,
        (error: unknown) => !(error instanceof SyntaxError),
      );
      if (isReadable) continue;
      const key = queue.toKey(id);
      const [name, data] = await connection.hmget(key, 'name', 'data');
      await bury(name ?? undefined, data, 'it is not JSON');
      await connection.multi().lrem(active, 0, id).del(key, `${key}:lock`).exec();
    }
  };
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
      const running = new Worker<unknown>(
        QUEUE,
        async ({ name, data }) => {
          const runId = name === 'run' ? runIdOf(data) : null;
          const reason = runId === null ? 'it names no run' : await work(runId);
          if (reason !== undefined) await bury(name, data, reason);
        },
        { connection: own, prefix, concurrency: options.concurrency },
      );
      running.on('error', (error) => {
        log.warn({ error }, 'the run worker reported an error');
        if (error instanceof SyntaxError)
          buryUnreadable().catch((cause: unknown) =>
            log.warn({ error: cause }, 'a job that is not JSON is left'),
          );
      });
      worker = {
        worker: running,
        async close() {
          await running.close();
          await own[Symbol.asyncDispose]();
        },
      };
    },
    async deadLetters(limit) {
      const jobs = await withinTime(dead.getJobs(['wait'], 0, limit - 1, false), ADD_MS);
      return jobs.map(({ data }) => data);
    },
    async [Symbol.asyncDispose]() {
      await withinTime(Promise.resolve(worker?.close()), CLOSE_MS).catch((error) =>
        log.warn({ error }, 'closing the run worker'),
      );
      await withinTime(dead.close(), CLOSE_MS).catch((error) =>
        log.warn({ error }, 'closing the queue of dead letters'),
      );
      await withinTime(queue.close(), CLOSE_MS).catch((error) =>
        log.warn({ error }, 'closing the run queue'),
      );
      await connection[Symbol.asyncDispose]();
    },
  };
}

function runIdOf(data: unknown): string | null {
  const id = typeof data === 'object' && data !== null && 'runId' in data ? data.runId : undefined;
  return typeof id === 'string' && RUN_ID.test(id) ? id : null;
}

function textOf(job: { readonly name: string | undefined; readonly data: unknown }): string {
  try {
    return JSON.stringify(job).slice(0, MOST_TEXT);
  } catch (error) {
    // Too deep for JSON.stringify, which is recursive; JSON.parse is not.
    if (!(error instanceof RangeError)) throw error;
    return JSON.stringify({ name: job.name?.slice(0, MOST_NAME), data: 'too deeply nested to be shown' });
  }
}

function withinTime<T>(promise: Promise<T>, ms: number): Promise<T> {
  return within(promise, ms, () => {
    throw new HotloopError('UNAVAILABLE', 'the queue did not answer in time');
  });
}
