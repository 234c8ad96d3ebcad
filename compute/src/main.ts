import { join } from 'node:path';
import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import { Closing } from '@hotloop/platform/closing.ts';
import {
  addressSchema,
  fractionSchema,
  millisecondsSchema,
  readConfig,
  urlSchema,
  z,
} from '@hotloop/platform/config.ts';
import { createLog, LOG_LEVELS } from '@hotloop/platform/log.ts';
import { migrate } from '@hotloop/platform/postgres/migrate.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { directoryBundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { openRegistry } from '@hotloop/platform/registry/postgres-registry.ts';
import { runService } from '@hotloop/platform/run-service.ts';
import { startProcessTracing } from '@hotloop/platform/telemetry/tracing.ts';
import { nodeOptions, nodeSettings } from './node-settings.ts';
import { postgresNodeReport } from './nodes/node-report.ts';
import { startCompute } from './service.ts';

const configSchema = z.object({
  HOTLOOP_LISTEN: addressSchema().default('127.0.0.1:8001'),
  HOTLOOP_HTTP_LISTEN: addressSchema().default('127.0.0.1:8000'),
  HOTLOOP_STORE: z.string().min(1),
  HOTLOOP_DATA: z.string().min(1),
  HOTLOOP_NODE: z.string().default('compute'),
  HOTLOOP_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  HOTLOOP_API_KEYS: z.string().optional(),
  HOTLOOP_TRACE_RATIO: fractionSchema().default(0.01),
  HOTLOOP_DRAIN_MS: millisecondsSchema().default(10_000),
  ...nodeSettings,
  DATABASE_URL: urlSchema('postgres', 'postgresql'),
  OTEL_EXPORTER_OTLP_ENDPOINT: urlSchema('http', 'https').optional(),
});

async function main(stopping: Promise<void>): Promise<void> {
  const config = readConfig(configSchema, process.env, { prefix: 'HOTLOOP_' });
  const log = createLog({ service: 'compute', level: config.HOTLOOP_LOG_LEVEL });
  const closing = new Closing(log);
  try {
    const endpoint = config.OTEL_EXPORTER_OTLP_ENDPOINT;
    const tracing = closing.use(
      'tracing',
      await startProcessTracing({ service: 'compute', endpoint, sampleRatio: config.HOTLOOP_TRACE_RATIO }),
    );
    await migrate(config.DATABASE_URL, { log });
    const pool = closing.use(
      'Postgres',
      openPool(config.DATABASE_URL, { max: 3, queryTimeoutMs: 5_000, application: 'compute', log }),
    );
    const registry = closing.use('registry', await openRegistry(pool, config.DATABASE_URL, log));
    const service = closing.use(
      'compute',
      await startCompute(
        {
          node: config.HOTLOOP_NODE,
          listen: config.HOTLOOP_LISTEN,
          httpListen: config.HOTLOOP_HTTP_LISTEN,
          dataDirectory: join(config.HOTLOOP_DATA, config.HOTLOOP_NODE),
          drainMs: config.HOTLOOP_DRAIN_MS,
          ...nodeOptions(config, process.env),
        },
        {
          registry,
          store: directoryBundleStore(config.HOTLOOP_STORE),
          pool,
          databaseUrl: config.DATABASE_URL,
          report: postgresNodeReport(pool, config.HOTLOOP_NODE),
          authenticator: createAuthenticator(config.HOTLOOP_API_KEYS),
          tracing,
          log,
        },
        new AbortController().signal,
      ),
    );
    process.stdout.write(
      `${JSON.stringify({ ready: true, address: service.address, httpAddress: service.httpAddress })}\n`,
    );
    log.info({ address: service.address }, 'compute serves');
    await stopping;
    log.info('compute drains');
  } finally {
    await closing.close(config.HOTLOOP_DRAIN_MS + 10_000);
  }
}

runService('compute', main);
