import type { Clock } from '@hotloop/platform/clock.ts';
import { Closing } from '@hotloop/platform/closing.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { openBatchQueue } from './queue/batch-queue.ts';
import type { BatchDependencies } from './request-batch.ts';
import { keepSchedules } from './run-schedules.ts';

const SCHEDULES_EVERY_MS = 1_000;

export interface Batches extends AsyncDisposable {
  readonly dependencies: BatchDependencies & { readonly clock: Clock };
}

/** The control side of batches: the queue that calls workers, and the schedules. The work itself runs in `hotloop worker --batch`. */
export async function startBatches(
  adapters: {
    readonly pool: Pool;
    readonly registry: RegistryReader;
    readonly clock: Clock;
    readonly log: Log;
  },
  options: { readonly queueUrl: string; readonly prefix: string },
): Promise<Batches> {
  const { pool, registry, clock, log } = adapters;
  const closing = new Closing(log);
  const queue = closing.use(
    'batch queue',
    await openBatchQueue({ url: options.queueUrl, prefix: options.prefix, log }),
  );
  const wake = (runId: string) =>
    void queue.call(runId, 1).catch((error: unknown) => log.warn({ error }, 'no batch worker was called'));
  const dependencies = { pool, registry, clock, wake };
  const stopping = new AbortController();
  const schedules = keepSchedules(dependencies, SCHEDULES_EVERY_MS, log, stopping.signal);
  closing.defer('schedules', async () => {
    stopping.abort();
    await schedules;
  });
  return { dependencies, [Symbol.asyncDispose]: async () => void (await closing.close(10_000)) };
}
