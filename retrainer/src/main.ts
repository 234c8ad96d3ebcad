import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import { Closing } from '@hotloop/platform/closing.ts';
import {
  addressListSchema,
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
import { startRetrainer } from './service.ts';

const configSchema = z.object({
  HOTLOOP_LISTEN: addressSchema().default('127.0.0.1:7403'),
  HOTLOOP_STORE: z.string().min(1),
  HOTLOOP_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  HOTLOOP_API_KEYS: z.string().optional(),
  HOTLOOP_TRACE_RATIO: fractionSchema().default(0.01),
  HOTLOOP_DRAIN_MS: millisecondsSchema().default(10_000),
  DATABASE_URL: urlSchema('postgres', 'postgresql'),
  REDIS_QUEUE_URL: urlSchema('redis', 'rediss'),
  KAFKA_BROKERS: addressListSchema().optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: urlSchema('http', 'https').optional(),
});

/** Collecting a dataset reads for as long as this; everything else is far quicker. */
const QUERY_TIMEOUT_MS = 120_000;

async function main(stopping: Promise<void>): Promise<void> {
  const config = readConfig(configSchema, process.env, { prefix: 'HOTLOOP_' });
  const log = createLog({ service: 'retrainer', level: config.HOTLOOP_LOG_LEVEL });
  const closing = new Closing(log);
  try {
    const tracing = closing.use(
      'tracing',
      await startProcessTracing({
        service: 'retrainer',
        endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
        sampleRatio: config.HOTLOOP_TRACE_RATIO,
      }),
    );
    await migrate(config.DATABASE_URL, { log });
    const pool = closing.use(
      'Postgres',
      openPool(config.DATABASE_URL, {
        max: 8,
        queryTimeoutMs: QUERY_TIMEOUT_MS,
        application: 'retrainer',
        log,
      }),
    );
    const registry = closing.use('registry', await openRegistry(pool, config.DATABASE_URL, log));
    const service = closing.use(
      'retrainer',
      await startRetrainer(
        {
          listen: config.HOTLOOP_LISTEN,
          drainMs: config.HOTLOOP_DRAIN_MS,
          queueUrl: config.REDIS_QUEUE_URL,
          ...(config.KAFKA_BROKERS ? { kafkaBrokers: config.KAFKA_BROKERS } : {}),
        },
        {
          pool,
          registry,
          bundles: directoryBundleStore(config.HOTLOOP_STORE),
          authenticator: createAuthenticator(config.HOTLOOP_API_KEYS),
          tracing,
          log,
        },
      ),
    );
    process.stdout.write(`${JSON.stringify({ ready: true, address: service.address })}\n`);
    log.info({ address: service.address }, 'the retrainer serves');
    await stopping;
    log.info('the retrainer drains');
  } finally {
    await closing.close(config.HOTLOOP_DRAIN_MS + 15_000);
  }
}

runService('retrainer', main);
