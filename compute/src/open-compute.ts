import { join } from 'node:path';
import { logArchive } from '@hotloop/platform/archive/log-archive.ts';
import type { Environment } from '@hotloop/platform/config.ts';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import { openBundleStore } from '@hotloop/platform/registry/object-bundle-store.ts';
import type { Foundation } from '@hotloop/platform/start-up/foundation.ts';
import type { ComputeSettings, Listen } from '@hotloop/platform/start-up/settings.ts';
import { nodeOptions } from './node-settings.ts';
import { postgresNodeReport } from './nodes/node-report.ts';
import { type Compute, startCompute } from './service.ts';

/**
 * Opens compute from its settings. The foundation's `closing` closes it.
 *
 * @param environment holds the variables that locate devices: LD_LIBRARY_PATH, CUDA_VISIBLE_DEVICES etc.
 */
export async function openCompute(
  settings: ComputeSettings,
  listen: Listen,
  environment: Environment,
  foundation: Foundation,
): Promise<Compute> {
  const { closing, node, pool, log } = foundation;
  const store = openBundleStore(settings.HOTLOOP_STORE);
  closing.defer('model store', async () => store[Symbol.dispose]());
  const objects = openObjectStore(settings.HOTLOOP_STORE);
  closing.defer('log archive', async () => objects[Symbol.dispose]());
  return closing.use(
    'compute',
    await startCompute(
      {
        node,
        listen: listen.grpc,
        sharePort: settings.HOTLOOP_SHARE_PORT,
        httpListen: listen.http,
        dataDirectory: join(settings.HOTLOOP_DATA, node),
        drainMs: foundation.drainMs,
        ...nodeOptions(settings, environment),
      },
      {
        registry: foundation.registry,
        store,
        pool,
        archive: logArchive({ pool, databaseUrl: foundation.databaseUrl, store: objects }),
        databaseUrl: foundation.databaseUrl,
        report: postgresNodeReport(pool, node),
        authenticator: foundation.authenticator,
        tls: foundation.tls,
        tracing: foundation.tracing,
        metrics: foundation.metrics,
        log: log.child({ part: 'compute' }),
      },
      new AbortController().signal,
    ),
  );
}
