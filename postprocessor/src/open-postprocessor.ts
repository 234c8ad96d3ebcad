import { join } from 'node:path';
import { logArchive } from '@hotloop/platform/archive/log-archive.ts';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import type { Foundation } from '@hotloop/platform/start-up/foundation.ts';
import type { Listen, PostprocessorSettings } from '@hotloop/platform/start-up/settings.ts';
import { type Postprocessor, startPostprocessor } from './service.ts';

/** Opens the postprocessor from its settings; the foundation's `closing` closes it. */
export async function openPostprocessor(
  settings: PostprocessorSettings,
  listen: Listen,
  foundation: Foundation,
): Promise<Postprocessor> {
  const { closing, node, registry, pool, databaseUrl, authenticator, tracing, log } = foundation;
  const objects = settings.HOTLOOP_STORE === undefined ? undefined : openObjectStore(settings.HOTLOOP_STORE);
  closing.defer('log archive', async () => objects?.[Symbol.dispose]());
  return closing.use(
    'postprocessor',
    await startPostprocessor(
      {
        listen: listen.grpc,
        http: { listen: listen.http, metrics: foundation.metrics },
        node,
        journalDirectory: join(settings.HOTLOOP_DATA, node, 'decision'),
        drainMs: foundation.drainMs,
      },
      {
        registry,
        pool,
        databaseUrl,
        archive: objects && logArchive({ pool, databaseUrl, store: objects }),
        authenticator,
        tls: foundation.tls,
        tracing,
        log: log.child({ part: 'postprocessor' }),
      },
    ),
  );
}
