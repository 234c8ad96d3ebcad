import type { ArchivePartition } from '@hotloop/platform/archive/log-archive.ts';
import type { Authenticator } from '@hotloop/platform/auth/authorization.ts';
import { type Clock, systemClock } from '@hotloop/platform/clock.ts';
import { Closing } from '@hotloop/platform/closing.ts';
import { startGrpcServer } from '@hotloop/platform/grpc/server.ts';
import { type HttpOptions, openHttpServer } from '@hotloop/platform/http/http-server.ts';
import { JOURNAL_DEFAULTS, openJournal } from '@hotloop/platform/journal/journal.ts';
import { measureJournal } from '@hotloop/platform/journal/measure-journal.ts';
import { startRetention } from '@hotloop/platform/journal/retention.ts';
import { startShipThread } from '@hotloop/platform/journal/ship-thread.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { DecisionPort } from '@hotloop/platform/ports/decision.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { longestRetentionMs } from '@hotloop/platform/registry/longest-retention.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import type { Tracing } from '@hotloop/platform/telemetry/tracing.ts';
import type { TlsIdentity } from '@hotloop/platform/tls/tls-identity.ts';
import { loadServiceDefinitions } from '@hotloop/proto/service-definitions.ts';
import { createDecider } from './decide.ts';
import { DECISION_TABLE } from './decision-table.ts';
import { measureDecisions } from './measure-decisions.ts';
import { decisionHandlers } from './server.ts';

export interface PostprocessorOptions {
  /** host:port; port 0 picks a free port. */
  readonly listen: string;
  /** Name of this node, stored with each decision. */
  readonly node: string;
  /** Folder of the decision journal; used by this process only. */
  readonly journalDirectory: string;
  readonly drainMs: number;
  /** Without it, HTTP is not served. */
  readonly http?: HttpOptions;
}

/** Opened and closed by the caller of `startPostprocessor`. */
export interface PostprocessorAdapters {
  readonly registry: RegistryReader;
  /** Where the journal is shipped to. The shipper opens its own connection. */
  readonly databaseUrl: string;
  /** For the maintenance of the decisions' table. */
  readonly pool: Pool;
  /** Archives days of the decision log before they are dropped. */
  readonly archive?: ArchivePartition | undefined;
  readonly authenticator: Authenticator;
  readonly tls?: TlsIdentity | undefined;
  readonly tracing: Tracing;
  readonly log: Log;
  readonly clock?: Clock;
}

export interface Postprocessor extends AsyncDisposable {
  readonly address: string;
  /** host:port of HTTP as bound; empty when HTTP is not served. */
  readonly httpAddress: string;
  /** For a preprocessor in the same process. */
  readonly decision: DecisionPort;
  /** Resolves when every decision answered so far is in Postgres. */
  flush(deadlineMs: number): Promise<void>;
}

const SERVICE = 'hotloop.v1.DecisionService';

/**
 * Starts the postprocessor; resolves when it serves. Disposal, or the signal, drains it and then closes what it
 * opened.
 */
export async function startPostprocessor(
  options: PostprocessorOptions,
  adapters: PostprocessorAdapters,
  signal?: AbortSignal,
): Promise<Postprocessor> {
  const { registry, pool, tracing, log, authenticator } = adapters;
  const closing = new Closing(log);
  try {
    const table = DECISION_TABLE;
    const settings = { directory: options.journalDirectory, ...JOURNAL_DEFAULTS };
    const journal = closing.use('decision journal', openJournal(table, settings, log));
    const shipping = { databaseUrl: adapters.databaseUrl, application: 'postprocessor-log' };
    const shipper = closing.use('decision shipper', startShipThread(journal, shipping, log));
    // Optional: the next start would also ship what is left in the journal.
    closing.defer('last shipment', () => shipper.flush(options.drainMs).catch(() => undefined));

    const clock = adapters.clock ?? systemClock;
    const retention = {
      table: table.table,
      keepMs: () => longestRetentionMs(registry.current()),
      archive: adapters.archive,
    };
    closing.use('retention', startRetention(pool, retention, clock, log));
    const tallies = options.http?.metrics.tallies;
    if (tallies) closing.defer('journal metrics', measureJournal(tallies, 'decision', journal, shipper));
    const deciding = createDecider({ registry, journal, tracing, clock }, options.node);
    const decider = tallies ? measureDecisions(deciding, tallies) : deciding;
    closing.defer('decision plans', () => decider[Symbol.dispose]());

    const definitions = loadServiceDefinitions(['hotloop/v1/decision.proto']);
    const server = await startGrpcServer({
      services: [{ name: SERVICE, handlers: decisionHandlers(decider) }],
      address: options.listen,
      authenticator,
      tls: adapters.tls,
      definitions,
      tallies,
      log,
    });
    closing.defer('gRPC server', () => server.drain(options.drainMs));
    for (const name of [SERVICE, 'readiness', 'liveness']) server.setServing(name, true);

    const http =
      options.http === undefined
        ? undefined
        : await openHttpServer(
            { listen: options.http.listen, title: 'Hotloop postprocessor', routes: [] },
            { authenticator: adapters.authenticator, tls: adapters.tls, metrics: options.http.metrics, log },
          );
    closing.defer('HTTP server', () => http?.drain(options.drainMs));

    const close = async () => {
      await closing.close(options.drainMs + 5000);
    };
    signal?.addEventListener('abort', () => void close(), { once: true });
    return {
      address: server.address,
      httpAddress: http?.address ?? '',
      decision: decider,
      flush: (deadlineMs) => shipper.flush(deadlineMs),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await closing.close(5000);
    throw error;
  }
}
