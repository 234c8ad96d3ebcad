import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import { openBundleStore } from '@hotloop/platform/registry/object-bundle-store.ts';
import { serviceMain } from '@hotloop/platform/start-up/service-main.ts';
import { workerSettings } from '@hotloop/platform/start-up/settings.ts';
import { serviceFetch } from '@hotloop/platform/tls/service-fetch.ts';
import type { AllowedFiles } from './allowed-files.ts';
import { startBatchWorker } from './batch-worker.ts';
import { openBatchQueue } from './queue/batch-queue.ts';

const QUERY_TIMEOUT_MS = 30_000;

/** Where keys are used, the holder of a key is not the owner of these files. */
function allowedFiles(folder: string | undefined, keys: string | undefined): AllowedFiles {
  if (folder !== undefined) return { below: folder };
  return keys === undefined || keys.trim() === '' ? 'any' : 'none';
}

/** A bucket is no folder: then one of this machine, which no other worker sees. */
function workFolder(given: string | undefined, store: string): string {
  return given ?? (store.includes('://') ? join(tmpdir(), 'hotloop-batch') : join(store, '.batch'));
}

/** `hotloop worker --batch`: works on batch parts apart from the control API. Start as many as there are processors for it. */
serviceMain(
  { service: 'batch-worker', maxConnections: 4, queryTimeoutMs: QUERY_TIMEOUT_MS },
  process.env,
  workerSettings,
  async (settings, { closing, pool, registry, log, tls, apiKey }) => {
    const queue = closing.use(
      'batch queue',
      await openBatchQueue({ url: settings.REDIS_QUEUE_URL, prefix: 'hotloop', log }),
    );
    const bundles = openBundleStore(settings.HOTLOOP_STORE);
    const objects = openObjectStore(settings.HOTLOOP_STORE);
    closing.defer('store', () => objects[Symbol.dispose]());
    // Not our own: a batch must not name the variable of the control database.
    const databases = (variable: string) =>
      /^(HOTLOOP_|DATABASE_URL$|REDIS_)/.test(variable) ? undefined : process.env[variable];
    const brokers = settings.KAFKA_BROKERS;
    const kafka = brokers === undefined ? {} : { kafka: { brokers, clientId: 'hotloop-batch', log } };
    const calls = serviceFetch(tls);
    const door = settings.HOTLOOP_FRONT_DOOR;
    const frontDoor =
      door === undefined
        ? {}
        : { frontDoor: { url: `${calls.scheme}://${door}`, apiKey, fetch: calls.fetch } };
    closing.use(
      'batch worker',
      await startBatchWorker(
        queue,
        { pool, registry, bundles, objects, databases, ...kafka, ...frontDoor },
        {
          files: allowedFiles(settings.HOTLOOP_BATCH_FILES, process.env.HOTLOOP_API_KEYS),
          folder: workFolder(settings.HOTLOOP_BATCH_WORK, settings.HOTLOOP_STORE),
          memoryMb: settings.HOTLOOP_BATCH_MEMORY_MB,
          threads: 1,
          leaseMs: settings.HOTLOOP_BATCH_LEASE_MS,
          maxAttempts: 10,
          sweepMs: 1000,
          log,
        },
      ),
    );
    return { address: '' };
  },
);
