import { openBundleStore } from '@hotloop/platform/registry/object-bundle-store.ts';
import { serviceMain } from '@hotloop/platform/start-up/service-main.ts';
import { sqlSettings } from '@hotloop/platform/start-up/settings.ts';
import { openSql } from './open-sql.ts';

const QUERY_TIMEOUT_MS = 60_000;

/** SQL in a process of its own: what a statement does to it, it does to nothing else. */
serviceMain(
  { service: 'sql', maxConnections: 4, queryTimeoutMs: QUERY_TIMEOUT_MS },
  process.env,
  sqlSettings,
  async (settings, { closing, registry, authenticator, databaseUrl, log }) => {
    const server = closing.use(
      'SQL',
      await openSql(
        {
          listen: settings.HOTLOOP_SQL_LISTEN,
          statementTimeoutMs: settings.HOTLOOP_SQL_TIMEOUT_MS,
          memoryMb: settings.HOTLOOP_SQL_MEMORY_MB,
          databaseUrl,
          ...(settings.HOTLOOP_SQL_FILES === undefined ? {} : { files: settings.HOTLOOP_SQL_FILES }),
        },
        { registry, bundles: openBundleStore(settings.HOTLOOP_STORE), authenticator, log },
      ),
    );
    return { address: server.address };
  },
);
