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
import { postgresSetAside } from '@hotloop/platform/postgres/set-aside.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { openRegistry } from '@hotloop/platform/registry/postgres-registry.ts';
import { runService } from '@hotloop/platform/run-service.ts';
import { startProcessTracing } from '@hotloop/platform/telemetry/tracing.ts';
import { GrpcDecision } from './adapters/grpc-decision.ts';
import { GrpcInference } from './adapters/grpc-inference.ts';
import { RedisHistory } from './adapters/redis-history.ts';
import { EVENTS_GROUP } from './events.ts';
import { startPreprocessor } from './service.ts';

const configSchema = z.object({
  HOTLOOP_LISTEN: addressSchema().default('127.0.0.1:7400'),
  HOTLOOP_COMPUTE: z.string().default('127.0.0.1:8001'),
  HOTLOOP_POSTPROCESSOR: z.string().default('127.0.0.1:7402'),
  HOTLOOP_NODE: z.string().default('preprocessor'),
  HOTLOOP_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  HOTLOOP_API_KEYS: z.string().optional(),
  HOTLOOP_API_KEY: z.string().optional(),
  HOTLOOP_TRACE_RATIO: fractionSchema().default(0.01),
  HOTLOOP_DRAIN_MS: millisecondsSchema().default(10_000),
  DATABASE_URL: urlSchema('postgres', 'postgresql'),
  REDIS_CACHE_URL: urlSchema('redis', 'rediss'),
  KAFKA_BROKERS: addressListSchema().optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: urlSchema('http', 'https').optional(),
});

async function main(stopping: Promise<void>): Promise<void> {
  const config = readConfig(configSchema, process.env, { prefix: 'HOTLOOP_' });
  const log = createLog({ service: 'preprocessor', level: config.HOTLOOP_LOG_LEVEL });
  const closing = new Closing(log);
  try {
    const tracing = closing.use(
      'tracing',
      await startProcessTracing({
        service: 'preprocessor',
        endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
        sampleRatio: config.HOTLOOP_TRACE_RATIO,
      }),
    );
    await migrate(config.DATABASE_URL, { log });
    const pool = closing.use(
      'Postgres',
      openPool(config.DATABASE_URL, { max: 2, queryTimeoutMs: 5000, application: 'preprocessor', log }),
    );
    const registry = closing.use('registry', await openRegistry(pool, config.DATABASE_URL, log));
    const openHistory = async (name: string, commandTimeoutMs: number) => {
      const redis = await openRedis(config.REDIS_CACHE_URL, { commandTimeoutMs, role: 'cache', name, log });
      return new RedisHistory(closing.use(`Redis ${name}`, redis));
    };
    // Two connections: a prediction's read must not stand in line behind a batch of events.
    const history = await openHistory('history', 1000);
    const eventHistory = await openHistory('events', 5000);
    const channel = config.HOTLOOP_API_KEY === undefined ? {} : { apiKey: config.HOTLOOP_API_KEY };
    const inference = closing.use(
      'compute',
      new GrpcInference({ address: config.HOTLOOP_COMPUTE, channel }, log),
    );
    const decision = closing.use(
      'postprocessor',
      new GrpcDecision({ address: config.HOTLOOP_POSTPROCESSOR, channel }, log),
    );
    const service = closing.use(
      'preprocessor',
      await startPreprocessor(
        {
          listen: config.HOTLOOP_LISTEN,
          drainMs: config.HOTLOOP_DRAIN_MS,
          ...(config.KAFKA_BROKERS
            ? { events: { brokers: config.KAFKA_BROKERS, clientId: config.HOTLOOP_NODE } }
            : {}),
        },
        {
          registry,
          inference,
          decision,
          history,
          eventHistory,
          setAside: postgresSetAside(pool, EVENTS_GROUP),
          authenticator: createAuthenticator(config.HOTLOOP_API_KEYS),
          tracing,
          log,
        },
      ),
    );
    process.stdout.write(`${JSON.stringify({ ready: true, address: service.address })}\n`);
    log.info({ address: service.address }, 'the preprocessor serves');
    await stopping;
    log.info('the preprocessor drains');
  } finally {
    await closing.close(config.HOTLOOP_DRAIN_MS + 10_000);
  }
}

runService('preprocessor', main);
