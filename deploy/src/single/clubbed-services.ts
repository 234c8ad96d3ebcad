import { join } from 'node:path';
import { postgresNodeReport } from '@hotloop/compute/nodes/node-report.ts';
import { type ComputeOptions, startCompute } from '@hotloop/compute/service.ts';
import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import type { Closing } from '@hotloop/platform/closing.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { migrate } from '@hotloop/platform/postgres/migrate.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { postgresSetAside } from '@hotloop/platform/postgres/set-aside.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { directoryBundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { openRegistry } from '@hotloop/platform/registry/postgres-registry.ts';
import { startProcessTracing } from '@hotloop/platform/telemetry/tracing.ts';
import { startPostprocessor } from '@hotloop/postprocessor/service.ts';
import { RedisHistory } from '@hotloop/preprocessor/adapters/redis-history.ts';
import { EVENTS_GROUP } from '@hotloop/preprocessor/events.ts';
import { startPreprocessor } from '@hotloop/preprocessor/service.ts';
import { startRetrainer } from '@hotloop/retrainer/service.ts';
import type { ServiceName } from '../local/start-local.ts';

export interface ClubbedOptions {
  /** host:port of each; port 0 takes a free one. */
  readonly listen: Readonly<Record<ServiceName, string>>;
  readonly store: string;
  readonly data: string;
  readonly node: string;
  readonly apiKeys: string | undefined;
  readonly traceRatio: number;
  readonly traceEndpoint: string | undefined;
  readonly drainMs: number;
  /** What this node sets of compute. */
  readonly compute: Pick<ComputeOptions, 'fleet' | 'journal'>;
  readonly databaseUrl: string;
  readonly redisCacheUrl: string;
  readonly redisQueueUrl: string;
  readonly kafkaBrokers: readonly string[] | undefined;
}

/** Collecting a dataset reads for as long as this; everything else is far quicker. */
const QUERY_TIMEOUT_MS = 120_000;

/**
 * The same four services in one process: they meet at the same ports by direct call instead of gRPC. Everything opened
 * is closed by `closing`, the front door first. Resolves with the addresses when all serve.
 */
export async function openClubbedServices(
  options: ClubbedOptions,
  closing: Closing,
  log: Log,
): Promise<Readonly<Record<ServiceName, string>>> {
  const { databaseUrl, drainMs, listen, node, kafkaBrokers } = options;
  await migrate(databaseUrl, { log });
  const pool = closing.use(
    'Postgres',
    openPool(databaseUrl, { max: 8, queryTimeoutMs: QUERY_TIMEOUT_MS, application: 'hotloop', log }),
  );
  const registry = closing.use('registry', await openRegistry(pool, databaseUrl, log));
  const authenticator = createAuthenticator(options.apiKeys);
  const bundles = directoryBundleStore(options.store);
  const tracing = closing.use(
    'tracing',
    await startProcessTracing({
      service: 'hotloop',
      endpoint: options.traceEndpoint,
      sampleRatio: options.traceRatio,
    }),
  );
  const shared = (service: ServiceName) => ({
    registry,
    authenticator,
    tracing,
    log: log.child({ part: service }),
  });

  const retrainer = closing.use(
    'retrainer',
    await startRetrainer(
      {
        listen: listen.retrainer,
        drainMs,
        queueUrl: options.redisQueueUrl,
        ...(kafkaBrokers ? { kafkaBrokers } : {}),
      },
      { ...shared('retrainer'), pool, bundles },
    ),
  );
  const compute = closing.use(
    'compute',
    await startCompute(
      { node, listen: listen.compute, dataDirectory: join(options.data, node), drainMs, ...options.compute },
      {
        ...shared('compute'),
        store: bundles,
        pool,
        databaseUrl,
        report: postgresNodeReport(pool, node),
      },
      new AbortController().signal,
    ),
  );
  const postprocessor = closing.use(
    'postprocessor',
    await startPostprocessor(
      {
        listen: listen.postprocessor,
        node,
        journalDirectory: join(options.data, node, 'decision'),
        drainMs,
      },
      { ...shared('postprocessor'), pool, databaseUrl },
    ),
  );
  const openHistory = async (name: string, commandTimeoutMs: number) => {
    const redis = await openRedis(options.redisCacheUrl, { commandTimeoutMs, role: 'cache', name, log });
    return new RedisHistory(closing.use(`Redis ${name}`, redis));
  };
  // Two connections: a prediction's read must not stand in line behind a batch of events.
  const history = await openHistory('history', 1000);
  const eventHistory = await openHistory('events', 5000);
  const preprocessor = closing.use(
    'preprocessor',
    await startPreprocessor(
      {
        listen: listen.preprocessor,
        drainMs,
        ...(kafkaBrokers ? { events: { brokers: kafkaBrokers, clientId: node } } : {}),
      },
      {
        ...shared('preprocessor'),
        inference: compute.port,
        decision: postprocessor.decision,
        history,
        eventHistory,
        setAside: postgresSetAside(pool, EVENTS_GROUP),
      },
    ),
  );
  return {
    preprocessor: preprocessor.address,
    compute: compute.address,
    postprocessor: postprocessor.address,
    retrainer: retrainer.address,
  };
}
