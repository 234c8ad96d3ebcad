import { totalmem } from 'node:os';
import { join } from 'node:path';
import type { ArchivePartition } from '@hotloop/platform/archive/log-archive.ts';
import type { Authenticator } from '@hotloop/platform/auth/authorization.ts';
import { type Clock, systemClock } from '@hotloop/platform/clock.ts';
import { Closing } from '@hotloop/platform/closing.ts';
import { startGrpcServer } from '@hotloop/platform/grpc/server.ts';
import {
  JOURNAL_DEFAULTS,
  type Journal,
  type JournalOptions,
  openJournal,
} from '@hotloop/platform/journal/journal.ts';
import { startRetention } from '@hotloop/platform/journal/retention.ts';
import { startShipThread } from '@hotloop/platform/journal/ship-thread.ts';
import type { ShipperOptions } from '@hotloop/platform/journal/shipper.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { InferencePort } from '@hotloop/platform/ports/inference.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { longestRetentionMs } from '@hotloop/platform/registry/longest-retention.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import type { Metrics } from '@hotloop/platform/telemetry/metrics.ts';
import type { Tracing } from '@hotloop/platform/telemetry/tracing.ts';
import type { TlsIdentity } from '@hotloop/platform/tls/tls-identity.ts';
import { loadOipDefinitions } from '@hotloop/proto/definitions.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { loadServiceDefinitions } from '@hotloop/proto/service-definitions.ts';
import { inferenceService } from './grpc/inference-service.ts';
import { OIP_SERVICE, type OipParts, oipService } from './grpc/oip-service.ts';
import { Infer } from './infer.ts';
import { directInference } from './inference-port.ts';
import { computeTallies, observeCompute } from './metrics/measure-compute.ts';
import { startHeartbeat } from './nodes/heartbeat.ts';
import type { NodeReport, VersionReport } from './nodes/node-report.ts';
import { hotDefinitions } from './oip/hot-definitions.ts';
import { OipInference } from './oip/oip-inference.ts';
import { OipModels } from './oip/oip-models.ts';
import { startFieldExpiry } from './prediction-log/expire-fields.ts';
import { PREDICTION_TABLE, type PredictionRow, predictionTable } from './prediction-log/prediction-row.ts';
import { startRestServer } from './rest/rest-server.ts';
import { FLEET_DEFAULTS, Fleet, type FleetOptions } from './slots/fleet.ts';
import { Quarantine } from './slots/quarantine.ts';

/** Upper limit for the tensors of one request, and of one answer. */
const MAX_MESSAGE_BYTES = 256 * 1024 ** 2;
const MAX_REST_MS = 60_000;
const MEMORY_SHARE = 0.7;
const INFERENCE_SERVICE = 'hotloop.v1.InferenceService';

export interface ComputeOptions {
  /** Name of this node, unique among the nodes that share one Postgres. */
  readonly node: string;
  /** host:port of gRPC; port 0 picks a free port. */
  readonly listen: string;
  /** Other computes of this machine listen on the same address, too. Default: false. */
  readonly sharePort?: boolean;
  /** host:port of the Open Inference Protocol over REST; absent: REST is not served. */
  readonly httpListen?: string;
  /** Folder used by this node only; it holds the journal of the prediction log. */
  readonly dataDirectory: string;
  readonly drainMs: number;
  readonly journal?: Partial<Omit<JournalOptions, 'directory'>>;
  readonly shipper?: Partial<ShipperOptions>;
  readonly fleet?: Partial<FleetOptions>;
  /** For benchmarks: replaces the journal that predictions are appended to. The real journal is still shipped. */
  readonly wrapJournal?: (journal: Journal<PredictionRow>) => Journal<PredictionRow>;
}

/** The dependencies of compute. The caller owns them; they must outlive the service. */
export interface ComputeAdapters {
  readonly registry: RegistryReader;
  readonly store: BundleStore;
  /** Where the prediction log is shipped to. The shipper opens its own connection. */
  readonly databaseUrl: string;
  /** For the maintenance of the log's table. */
  readonly pool: Pool;
  /** Archives days of the prediction log before they are dropped. */
  readonly archive?: ArchivePartition | undefined;
  readonly report: NodeReport;
  readonly authenticator: Authenticator;
  readonly tls?: TlsIdentity | undefined;
  readonly tracing: Tracing;
  /** Served under /metrics of the HTTP address. */
  readonly metrics?: Metrics;
  readonly log: Log;
  readonly clock?: Clock;
}

export interface Compute extends AsyncDisposable {
  /** host:port of gRPC as bound. */
  readonly address: string;
  /** host:port of HTTP as bound; empty when HTTP is not served. */
  readonly httpAddress: string;
  /** For services in the same process. */
  readonly port: InferencePort;
  readonly fleet: Fleet;
  /** Resolves when everything that was answered so far is in Postgres. */
  flushLog(deadlineMs: number): Promise<void>;
}

/**
 * Starts compute and resolves when it serves; versions load in the background. Aborting the signal drains the
 * service: it becomes not ready, accepts no new calls, finishes the work in flight, flushes the journal and ends the
 * runners. Disposal does the same and waits for it.
 */
export async function startCompute(
  options: ComputeOptions,
  adapters: ComputeAdapters,
  signal: AbortSignal,
): Promise<Compute> {
  const { log, store, registry, tracing } = adapters;
  const clock = adapters.clock ?? systemClock;
  const closing = new Closing(log);
  try {
    const journalOptions = {
      ...JOURNAL_DEFAULTS,
      ...options.journal,
      directory: join(options.dataDirectory, 'prediction'),
    };
    const journal = closing.use('journal', openJournal(predictionTable(), journalOptions, log));
    const shipping = {
      databaseUrl: adapters.databaseUrl,
      application: 'compute-log',
      shipper: options.shipper,
    };
    const shipper = closing.use('shipper', startShipThread(journal, shipping, log));

    const retention = {
      table: PREDICTION_TABLE,
      keepMs: () => longestRetentionMs(registry.current()),
      archive: adapters.archive,
    };
    closing.use('retention', startRetention(adapters.pool, retention, clock, log));
    closing.use(
      'retention of fields',
      startFieldExpiry(adapters.pool, () => registry.current(), clock, log),
    );

    const tallies = adapters.metrics?.tallies;
    const counted = tallies && computeTallies(tallies, (name) => registry.current().models.has(name));
    const quarantine = new Quarantine();
    const fleet: Fleet = new Fleet(
      {
        store,
        clock,
        log,
        onChange: () => heartbeat?.changed(),
        onKiller: (slot, work) => quarantine.blame(slot, work.inputs),
        ...(counted ? { tallyOf: counted.tallyOf } : {}),
      },
      fleetOptions(options.fleet),
    );
    closing.use('runners', fleet);
    if (tallies) closing.defer('metrics of compute', observeCompute(tallies, fleet, journal, shipper));
    const heartbeat = startHeartbeat(adapters.report, () => reportsOf(fleet), log);
    closing.use('node report', heartbeat);
    // Before the runners end. Rows that cannot be shipped now stay in the journal until the next start.
    closing.defer('prediction log', () => shipper.flush(options.drainMs / 2).catch(() => undefined));

    const infer = new Infer(
      {
        ...{ fleet, journal: options.wrapJournal?.(journal) ?? journal, quarantine, clock, log },
        ...(counted ? { onRefused: counted.refused } : {}),
      },
      options.node,
    );
    const port = directInference(infer, tracing);
    closing.defer('requests in flight', (deadline) => untilIdle(fleet, deadline));

    let isReady = true;
    const acquire = infer.acquire.bind(infer);
    const inference = new OipInference({ registry, infer, ids: randomPredictionIds(), clock, acquire });
    const oip: OipParts = { inference, models: new OipModels(registry, fleet), isReady: () => isReady };
    const server = await startGrpcServer({
      services: [inferenceService((item, isOver) => port.inferWhile(item, isOver)), oipService(oip)],
      address: options.listen,
      sharePort: options.sharePort,
      authenticator: adapters.authenticator,
      tls: adapters.tls,
      definitions: {
        ...loadServiceDefinitions(['hotloop/v1/inference.proto']),
        ...hotDefinitions(loadOipDefinitions(), OIP_SERVICE),
      },
      tallies,
      log,
      maxMessageBytes: MAX_MESSAGE_BYTES,
    });
    closing.defer('gRPC server', async () => {
      isReady = false;
      await server.drain(options.drainMs / 2);
      port.stop();
    });

    const rest =
      options.httpListen === undefined
        ? undefined
        : await startRestServer(
            { listen: options.httpListen, maxBodyBytes: MAX_MESSAGE_BYTES, maxTimeoutMs: MAX_REST_MS },
            oip,
            { authenticator: adapters.authenticator, tls: adapters.tls, metrics: adapters.metrics, log },
          );
    closing.defer('HTTP server', () => {
      isReady = false;
      return rest?.drain(options.drainMs / 2);
    });

    const unfollow = registry.onChange((snapshot) => fleet.follow(snapshot));
    closing.defer('registry', unfollow);
    fleet.follow(registry.current());
    for (const name of [INFERENCE_SERVICE, OIP_SERVICE, 'readiness', 'liveness'])
      server.setServing(name, true);
    closeWhenAborted(signal, closing, options.drainMs);
    return {
      address: server.address,
      httpAddress: rest?.address ?? '',
      port,
      fleet,
      flushLog: (deadlineMs) => shipper.flush(deadlineMs),
      async [Symbol.asyncDispose]() {
        await closing.close(options.drainMs);
      },
    };
  } catch (error) {
    await closing.close(options.drainMs);
    throw error;
  }
}

/** Reports what was measured last, and starts the next measurements for the next report. */
function reportsOf(fleet: Fleet): VersionReport[] {
  void fleet.tend();
  return fleet.reports();
}

function fleetOptions(given: Partial<FleetOptions> = {}): FleetOptions {
  const memoryBudgetBytes = given.memoryBudgetBytes ?? defaultBudget();
  return { ...FLEET_DEFAULTS, memoryBudgetBytes, memoryLimitBytes: memoryBudgetBytes, ...given };
}

/** Upper limit for this process's memory; the rest is left to other processes. */
function defaultBudget(): number {
  const limit = process.constrainedMemory();
  return MEMORY_SHARE * (limit > 0 ? Math.min(limit, totalmem()) : totalmem());
}

function closeWhenAborted(signal: AbortSignal, closing: Closing, drainMs: number): void {
  const close = () => void closing.close(drainMs);
  if (signal.aborted) close();
  else signal.addEventListener('abort', close, { once: true });
}

async function untilIdle(fleet: Fleet, deadline: AbortSignal): Promise<void> {
  while (fleet.inFlight() > 0 && !deadline.aborted) await new Promise((resolve) => setTimeout(resolve, 10));
}
