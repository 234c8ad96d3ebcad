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
import { openRegistry } from '@hotloop/platform/registry/postgres-registry.ts';
import { runService } from '@hotloop/platform/run-service.ts';
import { startProcessTracing } from '@hotloop/platform/telemetry/tracing.ts';
import { startPostprocessor } from './service.ts';

const configSchema = z.object({
  HOTLOOP_LISTEN: addressSchema().default('127.0.0.1:7402'),
  HOTLOOP_DATA: z.string().min(1),
  HOTLOOP_NODE: z.string().default('postprocessor'),
  HOTLOOP_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  HOTLOOP_API_KEYS: z.string().optional(),
  HOTLOOP_TRACE_RATIO: fractionSchema().default(0.01),
  HOTLOOP_DRAIN_MS: millisecondsSchema().default(10_000),
  DATABASE_URL: urlSchema('postgres', 'postgresql'),
  OTEL_EXPORTER_OTLP_ENDPOINT: urlSchema('http', 'https').optional(),
});

async function main(stopping: Promise<void>): Promise<void> {
  const config = readConfig(configSchema, process.env, { prefix: 'HOTLOOP_' });
  const log = createLog({ service: 'postprocessor', level: config.HOTLOOP_LOG_LEVEL });
  const closing = new Closing(log);
  try {
    const tracing = closing.use(
      'tracing',
      await startProcessTracing({
        service: 'postprocessor',
        endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
        sampleRatio: config.HOTLOOP_TRACE_RATIO,
      }),
    );
    await migrate(config.DATABASE_URL, { log });
    const pool = closing.use(
      'Postgres',
      openPool(config.DATABASE_URL, { max: 2, queryTimeoutMs: 30_000, application: 'postprocessor', log }),
    );
    const registry = closing.use('registry', await openRegistry(pool, config.DATABASE_URL, log));
    const service = closing.use(
      'postprocessor',
      await startPostprocessor(
        {
          listen: config.HOTLOOP_LISTEN,
          node: config.HOTLOOP_NODE,
          journalDirectory: join(config.HOTLOOP_DATA, config.HOTLOOP_NODE, 'decision'),
          drainMs: config.HOTLOOP_DRAIN_MS,
        },
        {
          registry,
          pool,
          databaseUrl: config.DATABASE_URL,
          authenticator: createAuthenticator(config.HOTLOOP_API_KEYS),
          tracing,
          log,
        },
      ),
    );
    process.stdout.write(`${JSON.stringify({ ready: true, address: service.address })}\n`);
    log.info({ address: service.address }, 'the postprocessor serves');
    await stopping;
    log.info('the postprocessor drains');
  } finally {
    await closing.close(config.HOTLOOP_DRAIN_MS + 10_000);
  }
}

runService('postprocessor', main);
