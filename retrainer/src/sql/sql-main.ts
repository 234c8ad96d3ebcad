import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import { openBundleStore } from '@hotloop/platform/registry/object-bundle-store.ts';
import { serviceMain } from '@hotloop/platform/start-up/service-main.ts';
import { sqlSettings } from '@hotloop/platform/start-up/settings.ts';
import { serviceFetch } from '@hotloop/platform/tls/service-fetch.ts';
import { openSql } from './open-sql.ts';

const QUERY_TIMEOUT_MS = 60_000;

/** Runs SQL in a separate process, so that a statement can harm nothing else. */
serviceMain(
  { service: 'sql', maxConnections: 4, queryTimeoutMs: QUERY_TIMEOUT_MS },
  process.env,
  sqlSettings,
  async (settings, { closing, pool, registry, authenticator, databaseUrl, log, tls, apiKey }) => {
    const store = settings.HOTLOOP_STORE;
    const objects = openObjectStore(store);
    closing.defer('store', () => objects[Symbol.dispose]());
    const control = settings.HOTLOOP_CONTROL;
    const calls = serviceFetch(tls);
    const server = closing.use(
      'SQL',
      await openSql(
        {
          listen: settings.HOTLOOP_SQL_LISTEN,
          statementTimeoutMs: settings.HOTLOOP_SQL_TIMEOUT_MS,
          memoryMb: settings.HOTLOOP_SQL_MEMORY_MB,
          databaseUrl,
          ...(settings.HOTLOOP_SQL_FILES === undefined ? {} : { files: settings.HOTLOOP_SQL_FILES }),
          archive: { objects, folder: store.includes('://') ? undefined : store },
          ...(control === undefined
            ? {}
            : { training: { url: `${calls.scheme}://${control}`, apiKey, fetch: calls.fetch } }),
        },
        { pool, registry, bundles: openBundleStore(store), authenticator, log },
      ),
    );
    return { address: server.address };
  },
);
