import { nodeOptions, nodeSettings } from '@hotloop/compute/node-settings.ts';
import { Closing } from '@hotloop/platform/closing.ts';
import {
  addressListSchema,
  fractionSchema,
  millisecondsSchema,
  readConfig,
  urlSchema,
  z,
} from '@hotloop/platform/config.ts';
import { createLog, LOG_LEVELS } from '@hotloop/platform/log.ts';
import { runService } from '@hotloop/platform/run-service.ts';
import { openClubbedServices } from './clubbed-services.ts';

const configSchema = z.object({
  /** host:port of preprocessor, compute, postprocessor and retrainer, in this order, comma-separated. */
  HOTLOOP_SINGLE: addressListSchema().pipe(
    z.array(z.string()).length(4, 'must be four addresses: preprocessor, compute, postprocessor, retrainer'),
  ),
  HOTLOOP_STORE: z.string().min(1),
  HOTLOOP_DATA: z.string().min(1),
  HOTLOOP_NODE: z.string().default('hotloop'),
  HOTLOOP_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  HOTLOOP_API_KEYS: z.string().optional(),
  HOTLOOP_TRACE_RATIO: fractionSchema().default(0.01),
  HOTLOOP_DRAIN_MS: millisecondsSchema().default(10_000),
  ...nodeSettings,
  DATABASE_URL: urlSchema('postgres', 'postgresql'),
  REDIS_CACHE_URL: urlSchema('redis', 'rediss'),
  REDIS_QUEUE_URL: urlSchema('redis', 'rediss'),
  KAFKA_BROKERS: addressListSchema().optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: urlSchema('http', 'https').optional(),
});

async function main(stopping: Promise<void>): Promise<void> {
  const config = readConfig(configSchema, process.env, { prefix: 'HOTLOOP_' });
  const log = createLog({ service: 'hotloop', level: config.HOTLOOP_LOG_LEVEL });
  const closing = new Closing(log);
  const [preprocessor = '', compute = '', postprocessor = '', retrainer = ''] = config.HOTLOOP_SINGLE;
  try {
    const addresses = await openClubbedServices(
      {
        listen: { preprocessor, compute, postprocessor, retrainer },
        store: config.HOTLOOP_STORE,
        data: config.HOTLOOP_DATA,
        node: config.HOTLOOP_NODE,
        apiKeys: config.HOTLOOP_API_KEYS,
        traceRatio: config.HOTLOOP_TRACE_RATIO,
        traceEndpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
        drainMs: config.HOTLOOP_DRAIN_MS,
        compute: nodeOptions(config, process.env),
        databaseUrl: config.DATABASE_URL,
        redisCacheUrl: config.REDIS_CACHE_URL,
        redisQueueUrl: config.REDIS_QUEUE_URL,
        kafkaBrokers: config.KAFKA_BROKERS,
      },
      closing,
      log,
    );
    process.stdout.write(
      `${JSON.stringify({ ready: true, address: addresses.preprocessor, ...addresses })}\n`,
    );
    log.info({ ...addresses }, 'all four services serve');
    await stopping;
    log.info('all four services drain');
  } finally {
    await closing.close(config.HOTLOOP_DRAIN_MS + 15_000);
  }
}

runService('hotloop', main);
