import { systemClock } from '@hotloop/platform/clock.ts';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import { openBundleStore } from '@hotloop/platform/registry/object-bundle-store.ts';
import { serviceMain } from '@hotloop/platform/start-up/service-main.ts';
import { trainingWorkerSettings } from '@hotloop/platform/start-up/settings.ts';
import { COLLECT_DEFAULTS } from '../datasets/collect-dataset.ts';
import { datasetCollector } from '../datasets/dataset-collector.ts';
import { externalTrainer } from '../improve/external-trainer.ts';
import { PROMOTION_DEFAULTS } from '../rollouts/promote.ts';
import { scoreInProcess } from '../training/evaluator-process.ts';
import { trainInProcess } from '../training/trainer-process.ts';
import { openRunQueue } from './queue/run-queue.ts';
import { startRuns } from './start-runs.ts';
import { whenIdle } from './when-idle.ts';

const QUERY_TIMEOUT_MS = 120_000;
const LABEL_WAIT_MS = 15_000;

/** `hotloop worker --training`: executes training runs without the control API. Several may run, on several machines. */
serviceMain(
  { service: 'training-worker', maxConnections: 6, queryTimeoutMs: QUERY_TIMEOUT_MS },
  process.env,
  trainingWorkerSettings,
  async (settings, { closing, pool, registry, databaseUrl, log }) => {
    const queue = closing.use(
      'run queue',
      await openRunQueue({ url: settings.REDIS_QUEUE_URL, prefix: 'hotloop', concurrency: 1, log }),
    );
    const objects = openObjectStore(settings.HOTLOOP_STORE);
    closing.defer('dataset store', async () => objects[Symbol.dispose]());
    const clock = systemClock;
    closing.use(
      'training runs',
      await startRuns(
        { pool, registry, queue, log, clock },
        {
          ...{ pool, clock, bundles: openBundleStore(settings.HOTLOOP_STORE) },
          datasets: datasetCollector({ pool, objects, databaseUrl, waitMs: LABEL_WAIT_MS }),
          trainer: { train: trainInProcess, score: scoreInProcess },
          checkpoints: objects,
          external: externalTrainer(objects, {
            scripts: settings.HOTLOOP_TRAINERS,
            path: settings.HOTLOOP_TRAINERS_PATH,
          }),
        },
        {
          ...{ collect: COLLECT_DEFAULTS, promotion: PROMOTION_DEFAULTS, trainTimeoutMs: 6 * 3_600_000 },
          ...{ leaseMs: 30_000, maxAttempts: 10, works: true, triggers: false, log },
        },
      ),
    );
    if (settings.HOTLOOP_WORKER_EXIT_WHEN_IDLE) {
      const stop = new AbortController();
      closing.defer('idle watch', async () => stop.abort());
      void whenIdle(pool, stop.signal).then((idle) => {
        if (idle) process.kill(process.pid, 'SIGTERM');
      });
    }
    return { address: '' };
  },
);
