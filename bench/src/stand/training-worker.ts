import { systemClock } from '@hotloop/platform/clock.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { directoryObjectStore } from '@hotloop/platform/object-store/directory-object-store.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { directoryBundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { COLLECT_DEFAULTS } from '@hotloop/retrainer/datasets/collect-dataset.ts';
import { datasetCollector } from '@hotloop/retrainer/datasets/dataset-collector.ts';
import { PROMOTION_DEFAULTS } from '@hotloop/retrainer/rollouts/promote.ts';
import { workOnRun } from '@hotloop/retrainer/runs/run-worker.ts';
import { scoreInProcess } from '@hotloop/retrainer/training/evaluator-process.ts';
import { trainInProcess } from '@hotloop/retrainer/training/trainer-process.ts';
import { serveCommands } from './commands.ts';

// A worker of training runs in its own process: works on one run, and reports its progress.

const [databaseUrl = '', store = '', runId = '', leaseMs = ''] = process.argv.slice(2);
const log = silentLog();
const pool = openPool(databaseUrl, { max: 4, queryTimeoutMs: 60_000, application: 'training-worker', log });
const objects = directoryObjectStore(store);
let state = 'waiting';
let firstStep: number | null = null;
let progress = 0;
let trained: string | null = null;

serveCommands({ state: () => state, told: () => ({ firstStep, progress, trained }) });
process.once('disconnect', () => process.exit(0));
console.log(JSON.stringify({ ready: true, port: 0 }));
await workOnRun(
  runId,
  {
    ...{ pool, bundles: directoryBundleStore(store), clock: systemClock },
    datasets: datasetCollector({ pool, objects, databaseUrl, waitMs: 0 }),
    trainer: {
      train: async (job, options) => {
        state = 'training';
        const onProgress: typeof options.onProgress = (report) => {
          firstStep ??= report.step;
          progress++;
          options.onProgress?.(report);
        };
        const result = await trainInProcess(job, { ...options, onProgress });
        trained = result.sha256.slice(0, 12);
        return result;
      },
      score: scoreInProcess,
    },
    checkpoints: objects,
  },
  {
    ...{ collect: COLLECT_DEFAULTS, promotion: PROMOTION_DEFAULTS, trainTimeoutMs: 600_000 },
    ...{ leaseMs: Number(leaseMs), maxAttempts: 5, log },
  },
  new AbortController().signal,
);
state = 'ended';
