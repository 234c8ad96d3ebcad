import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { systemClock } from '@hotloop/platform/clock.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { createTestRedis, testServices } from '@hotloop/platform/testing/test-services.ts';
import { eventually, makeLive, openStores, push, type Stores } from '../../testing/fixture.ts';
import type { AllowedFiles } from '../allowed-files.ts';
import { type BatchRun, isEnded } from '../batch-run.ts';
import { readBatchRun } from '../batch-store.ts';
import { startBatchWorker } from '../batch-worker.ts';
import { openBatchQueue } from '../queue/batch-queue.ts';

const MANIFEST = `name: churn
task: binary
decision: {labels: [stays, leaves]}
features:
  - {name: visits, from: request.visits, transform: [log1p]}
  - {name: age, from: request.age, missing: 30, range: [0, 120]}
  - {name: plan, from: request.plan, transform: [{one_hot: [free, pro]}]}
`;
const ONNX = perceptron({ inputs: 4, hidden: [4], outputs: 1, activation: 'tanh', head: 'sigmoid', seed: 3 });

/** 5,000 rows, of which every hundredth has an age that is refused. */
export function csv(rows = 5000): string {
  const lines = Array.from(
    { length: rows },
    (_, row) =>
      `u${row},${row % 17},${row % 100 === 99 ? 300 : row % 3 === 0 ? '' : row % 90},${row % 2 ? 'free' : 'pro'}`,
  );
  return `id,visits,age,plan\n${lines.join('\n')}\n`;
}

/** A store, a queue and a folder, with the model churn live; workers are started by the test. */
export async function openStand(log = silentLog()) {
  const stores = await openStores(log);
  const redis = await createTestRedis('queue');
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-batch-'));
  await makeLive(stores, 'churn', await push(stores, MANIFEST, ONNX));
  const queue = await openBatchQueue({ url: redis.url, prefix: 'test', log });
  const kafka = { brokers: testServices().kafkaBrokers.split(','), clientId: 'test', log };
  const dependencies = { ...stores, clock: systemClock, wake: (id: string) => void queue.call(id, 1) };
  const startWorker = (
    env: Record<string, string> = {},
    files: AllowedFiles = 'any',
    frontDoor?: { url: string; apiKey: string | undefined },
  ) =>
    startBatchWorker(
      queue,
      { ...stores, databases: (name) => env[name], kafka, ...(frontDoor ? { frontDoor } : {}) },
      {
        files,
        folder: join(folder, 'work'),
        memoryMb: 256,
        threads: 1,
        leaseMs: 5000,
        maxAttempts: 3,
        sweepMs: 50,
        log,
      },
    );
  return {
    kafka,
    stores,
    folder,
    dependencies,
    startWorker,
    /** A new folder for one test, since tests share the stand. */
    async newFolder(): Promise<string> {
      const path = await mkdtemp(join(folder, 'test-'));
      await mkdir(path, { recursive: true });
      return path;
    },
    async [Symbol.asyncDispose]() {
      await queue[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
      await stores[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The run once it has ended. */
export const ended = (stores: Stores, runId: string): Promise<BatchRun> =>
  eventually(async () => {
    const run = await readBatchRun(stores.pool, runId);
    return run && isEnded(run.state) ? run : null;
  });

/** A request, to which source, sink and options belong. */
export const asked = { model: 'churn', version: 'live', key: '', schedule: null, caller: 'test' };
