import type { Authenticator } from '@hotloop/platform/auth/authorization.ts';
import { type Clock, systemClock } from '@hotloop/platform/clock.ts';
import { Closing } from '@hotloop/platform/closing.ts';
import { startGrpcServer } from '@hotloop/platform/grpc/server.ts';
import { browserSessions } from '@hotloop/platform/http/browser-session.ts';
import { type HttpOptions, openHttpServer } from '@hotloop/platform/http/http-server.ts';
import type { OidcLoginSettings } from '@hotloop/platform/http/oidc-issuer.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import type { FeedbackPort } from '@hotloop/platform/ports/feedback.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import type { Tracing } from '@hotloop/platform/telemetry/tracing.ts';
import type { TlsIdentity } from '@hotloop/platform/tls/tls-identity.ts';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import { startBatches } from './batch/start-batches.ts';
import { openChangeFeed } from './control/console/change-stream.ts';
import type { FrontDoor } from './control/console/first-run-routes.ts';
import { controlRoutes } from './control/control-routes.ts';
import { modelOf } from './control/model-of.ts';
import { observeRetrainer, outcomeCounter } from './control/observe-retrainer.ts';
import { RETRAINER_CONTRACTS, retrainerServices } from './control/server.ts';
import { COLLECT_DEFAULTS } from './datasets/collect-dataset.ts';
import { datasetCollector } from './datasets/dataset-collector.ts';
import { loopReader } from './datasets/loop-state.ts';
import { type ExternalOptions, externalTrainer } from './improve/external-trainer.ts';
import type { Trainer } from './improve/trainer.ts';
import type { MailSettings } from './monitoring/notify/send-email.ts';
import { rolloutPause } from './monitoring/pause-rollouts.ts';
import { qualityInThread } from './monitoring/performance/quality-thread.ts';
import { Monitor, type MonitoringOptions, reportAbsence } from './monitoring/start-monitoring.ts';
import type { AcceptedOutcome } from './outcomes/accept-outcome.ts';
import { directFeedback } from './outcomes/direct-feedback.ts';
import { startMatching } from './outcomes/match-outcomes.ts';
import { modelRules } from './outcomes/model-rules.ts';
import { startOutcomeConsumers } from './outcomes/outcome-consumer.ts';
import { traceOutcome } from './outcomes/record-outcomes.ts';
import type { Databases } from './outcomes/sql/read-sql-outcomes.ts';
import { startSqlOutcomes } from './outcomes/sql/start-sql-outcomes.ts';
import { startCollecting } from './registry/collect-garbage.ts';
import { startWatching } from './registry/watch-bundles.ts';
import { DRIVE_DEFAULTS } from './rollouts/drive-rollout.ts';
import { PROMOTION_DEFAULTS, type PromotionOptions } from './rollouts/promote.ts';
import { startReconciler } from './rollouts/reconciler.ts';
import { keepExporting } from './runs/mlflow/keep-exporting.ts';
import { openRunQueue } from './runs/queue/run-queue.ts';
import { startRuns } from './runs/start-runs.ts';
import { scoreInProcess } from './training/evaluator-process.ts';
import { trainInProcess } from './training/trainer-process.ts';

export interface RetrainerOptions {
  /** host:port; port 0 selects a free one. */
  readonly listen: string;
  readonly drainMs: number;
  /** Without it there is no HTTP server. */
  readonly http?: HttpOptions;
  /** The console's built files, and the secret of its sessions. Without it HTTP serves only the API. */
  readonly console?: {
    readonly folder: string;
    readonly sessionSecret?: string | undefined;
    /** Logins at an OpenID Connect issuer. */
    readonly oidc?: OidcLoginSettings | undefined;
  };
  /** The Redis of the run queue; must be noeviction. */
  readonly queueUrl: string;
  /** Separates deployments that share the queue's Redis, and consumer groups for outcomes that share Kafka. */
  readonly deployment?: string;
  /** Without them no outcomes are read from Kafka. */
  readonly kafkaBrokers?: readonly string[];
  /** An MLflow tracking server to which ended runs are exported. */
  readonly mlflowUrl?: string;
  /** Number of concurrent training runs; 0 leaves them to other retrainers. */
  readonly trainers?: number;
  readonly maxModelBytes?: number;
  /** Address of the preprocessor; the console sends a first prediction to it. */
  readonly frontDoor?: FrontDoor | null;
  /** Addresses of databases with outcomes, and secrets of webhooks, by the name of their variable. */
  readonly databases?: Databases;
  /** Address of the console as people see it, for links in alarms. */
  readonly consoleUrl?: string;
  readonly promotion?: Partial<PromotionOptions>;
  readonly leaseMs?: number;
  readonly trainTimeoutMs?: number;
  /** How long a run waits for predictions that have labels but are not in Postgres yet. */
  readonly labelWaitMs?: number;
  /** False leaves monitoring to other retrainers. Default true. */
  readonly monitors?: boolean;
  readonly monitoring?: Partial<MonitoringOptions>;
  /** Folder of the programs that training.trainer may name. Without it no program is run. */
  readonly external?: ExternalOptions;
  /** Bundles that appear there are registered. */
  readonly watched?: ObjectStore;
  /** Without it, alarms by e-mail wait. */
  readonly mail?: MailSettings;
}

/** Opened and closed by the caller that starts the service. */
export interface RetrainerAdapters {
  readonly pool: Pool;
  /**
   * Used to listen for changes that open pages of the console should show, and by the processes that join datasets. Without it,
   * pages do not update by themselves, and datasets are joined in this process.
   */
  readonly databaseUrl?: string;
  readonly registry: RegistryReader;
  readonly bundles: BundleStore;
  /** The model store, for datasets. */
  readonly objects: ObjectStore;
  readonly authenticator: Authenticator;
  readonly tls?: TlsIdentity | undefined;
  readonly tracing: Tracing;
  readonly log: Log;
  readonly clock?: Clock;
  readonly trainer?: Trainer;
}

export interface Retrainer extends AsyncDisposable {
  readonly address: string;
  /** host:port of HTTP as bound; empty without an HTTP server. */
  readonly httpAddress: string;
  /** Accepts outcomes by direct call, for a preprocessor in the same process. */
  readonly feedback: FeedbackPort;
  /** Resolves when every outcome topic that is now declared is being read; at once without Kafka. */
  outcomesJoined(timeoutMs: number): Promise<void>;
}

const DEFAULTS = {
  deployment: 'hotloop',
  trainers: 1,
  maxModelBytes: 1 << 30,
  leaseMs: 30_000,
  trainTimeoutMs: 6 * 3_600_000,
  maxAttempts: 10,
  labelWaitMs: 15_000,
  monitors: true,
} as const;

/** Interval between passes over the watched prefix. */
const WATCH_MS = 5_000;

const MLFLOW_MS = 10_000;

/** Maximum size of a message; a push is sent in small chunks. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/**
 * Starts the retrainer; it serves when this resolves, and starts to read outcomes afterwards. Disposal, or the signal, drains the
 * server, leaves the topics, gives running runs back, and closes everything in reverse order. Rejects
 * FAILED_PRECONDITION for a queue Redis that may evict jobs, UNAVAILABLE for one that cannot be reached.
 */
export async function startRetrainer(
  options: RetrainerOptions,
  adapters: RetrainerAdapters,
  signal?: AbortSignal,
): Promise<Retrainer> {
  const { pool, registry, bundles, tracing, log } = adapters;
  const clock = adapters.clock ?? systemClock;
  const settings = { ...DEFAULTS, ...options };
  const promotion = { ...PROMOTION_DEFAULTS, ...options.promotion };
  const closing = new Closing(log);
  try {
    const queue = closing.use(
      'run queue',
      await openRunQueue({
        url: settings.queueUrl,
        prefix: settings.deployment,
        concurrency: Math.max(1, settings.trainers),
        log,
      }),
    );
    const trainer = adapters.trainer ?? { train: trainInProcess, score: scoreInProcess };
    const datasets = datasetCollector({
      pool,
      objects: adapters.objects,
      ...(adapters.databaseUrl === undefined ? {} : { databaseUrl: adapters.databaseUrl }),
      waitMs: settings.labelWaitMs,
    });
    const external = settings.external
      ? { external: externalTrainer(adapters.objects, settings.external) }
      : {};
    const runs = closing.use(
      'training runs',
      await startRuns(
        { pool, registry, queue, log, clock },
        {
          pool,
          bundles,
          clock,
          datasets,
          trainer,
          checkpoints: adapters.objects,
          ...external,
        },
        {
          collect: COLLECT_DEFAULTS,
          promotion,
          trainTimeoutMs: settings.trainTimeoutMs,
          leaseMs: settings.leaseMs,
          maxAttempts: settings.maxAttempts,
          works: settings.trainers > 0,
          log,
        },
      ),
    );
    if (settings.mlflowUrl !== undefined) {
      const stop = new AbortController();
      const exporting = keepExporting(settings.mlflowUrl, { pool, log }, MLFLOW_MS, stop.signal);
      closing.defer('export to MLflow', async () => {
        stop.abort();
        await exporting;
      });
    }
    const batches = closing.use(
      'batches',
      await startBatches(
        { pool, registry, clock, log },
        { queueUrl: settings.queueUrl, prefix: settings.deployment },
      ),
    );
    const reconciler = closing.use(
      'rollouts',
      startReconciler({ pool, clock }, log, { ...DRIVE_DEFAULTS, pollMs: promotion.pollMs }),
    );
    closing.use(
      'store garbage',
      startCollecting(pool, adapters.objects, () => clock.now(), log),
    );
    if (options.watched) {
      const watching = { pollMs: WATCH_MS, limits: { maxOnnxBytes: settings.maxModelBytes }, promotion };
      closing.use('watched prefix', startWatching(options.watched, { pool, bundles, clock }, watching, log));
    }
    if (settings.monitors) {
      await reportAbsence(pool, registry, clock.now());
      const mail = options.mail ? { mail: options.mail } : {};
      const pauseRollout = rolloutPause({ pool, clock }, log);
      const { databaseUrl } = adapters;
      const quality = databaseUrl === undefined ? {} : { evaluateQuality: qualityInThread(databaseUrl) };
      const monitoring = {
        ...{ pool, registry, bundles, score: trainer.score, clock, log, pauseRollout },
        ...mail,
        ...quality,
        ...(options.consoleUrl === undefined ? {} : { consoleUrl: options.consoleUrl }),
        ...(options.databases ? { secrets: options.databases } : {}),
      };
      closing.use('monitoring', new Monitor(monitoring, options.monitoring).start());
    }
    const rules = modelRules(registry);
    const tallies = options.http?.metrics.tallies;
    const isModel = (name: string) => registry.current().models.has(name);
    if (tallies) closing.defer('metrics of the retrainer', observeRetrainer(tallies, pool, clock));
    const count = tallies ? { count: outcomeCounter(tallies, isModel, clock) } : {};
    const outcomes = { database: pool, registry, rules, tracing, clock, ...count };
    closing.use('outcome matching', startMatching({ pool, rules, clock, log }));
    const groupPrefix = `${settings.deployment}-outcomes`;
    const consumers = settings.kafkaBrokers
      ? closing.use(
          'outcome topics',
          startOutcomeConsumers(outcomes, { brokers: settings.kafkaBrokers, groupPrefix, log }),
        )
      : null;
    const onAccepted = (outcome: AcceptedOutcome) => {
      traceOutcome(tracing, outcome);
      count.count?.(outcome.model, { id: outcome.id, status: 'accepted', error: null }, outcome.predictionId);
    };
    const sql = { pool, databases: options.databases ?? (() => undefined), clock, onAccepted };
    closing.use('outcomes by SQL', startSqlOutcomes(rules, sql, log));
    const loop = loopReader(pool, rules);
    const services = retrainerServices(
      { pool, bundles, clock },
      outcomes,
      { pool, registry, rules, loop, wake: runs.wake },
      { promotion, push: { maxOnnxBytes: settings.maxModelBytes } },
    );
    const server = await startGrpcServer({
      services,
      definitions: loadDefinitions([...RETRAINER_CONTRACTS]),
      address: settings.listen,
      authenticator: adapters.authenticator,
      tls: adapters.tls,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      tallies,
      log,
    });
    closing.defer('gRPC server', () => server.drain(settings.drainMs));
    for (const { name } of services) server.setServing(name, true);
    for (const name of ['readiness', 'liveness']) server.setServing(name, true);

    const changes =
      options.http !== undefined && adapters.databaseUrl !== undefined
        ? openChangeFeed(adapters.databaseUrl, log)
        : null;
    const routes = () =>
      controlRoutes({
        pool,
        registry,
        bundles,
        objects: adapters.objects,
        rules,
        outcomes,
        loop,
        clock,
        promotion,
        reconciler,
        wake: runs.wake,
        runs,
        frontDoor: options.frontDoor ?? null,
        changes,
        batches: batches.dependencies,
        datasets,
        data: { pool, bundles, objects: adapters.objects, trainer, ...external, clock, outcomes },
      });
    const pages = options.console && {
      folder: options.console.folder,
      sessions: browserSessions(options.console.sessionSecret, () => clock.now()),
      oidc: options.console.oidc,
    };
    const http =
      options.http === undefined
        ? undefined
        : await openHttpServer(
            {
              listen: options.http.listen,
              title: 'Hotloop control',
              modelOf: modelOf(pool),
              routes: routes(),
              ...(pages ? { pages } : {}),
            },
            { authenticator: adapters.authenticator, tls: adapters.tls, metrics: options.http.metrics, log },
          );
    closing.defer('HTTP server', () => http?.drain(options.drainMs));
    // Before the server, which waits for its open streams.
    closing.defer('change feed', async () => changes?.close());

    const close = async () => {
      await closing.close(settings.drainMs + 10_000);
    };
    signal?.addEventListener('abort', () => void close(), { once: true });
    if (signal?.aborted) await close();
    return {
      address: server.address,
      httpAddress: http?.address ?? '',
      feedback: directFeedback(outcomes),
      outcomesJoined: async (timeoutMs) => consumers?.joined(timeoutMs),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await closing.close(5_000);
    throw error;
  }
}
