import type { Authenticator } from '@hotloop/platform/auth/authorization.ts';
import { type Clock, systemClock } from '@hotloop/platform/clock.ts';
import { Closing } from '@hotloop/platform/closing.ts';
import { startGrpcServer } from '@hotloop/platform/grpc/server.ts';
import { type HttpOptions, openHttpServer } from '@hotloop/platform/http/http-server.ts';
import type { EventProducer } from '@hotloop/platform/kafka/producer.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { DecisionPort } from '@hotloop/platform/ports/decision.ts';
import type { FeedbackPort } from '@hotloop/platform/ports/feedback.ts';
import type { InferencePort } from '@hotloop/platform/ports/inference.ts';
import type { KeepDeadLetter } from '@hotloop/platform/postgres/keep-dead-letter.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import type { Tracing } from '@hotloop/platform/telemetry/tracing.ts';
import type { TlsIdentity } from '@hotloop/platform/tls/tls-identity.ts';
import { within } from '@hotloop/platform/within.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { loadServiceDefinitions } from '@hotloop/proto/service-definitions.ts';
import { ADMISSION_DEFAULTS, type AdmissionLimits } from './admission.ts';
import type { Backfill } from './archive/backfill-history.ts';
import type { EventSpool } from './archive/event-spool.ts';
import type { CountRefused, CountShapes } from './event-shapes.ts';
import { type EventsDependencies, type EventsOptions, startEvents } from './events.ts';
import { createExplainer } from './explain.ts';
import type { History } from './history/history.ts';
import { HISTORY_GATE_DEFAULTS, HistoryGate, type HistoryGateOptions } from './history/history-gate.ts';
import { predictionRoutes } from './http/prediction-routes.ts';
import { createImageDecoder } from './images/decode-images.ts';
import { intakeHandlers } from './intake-server.ts';
import { measureHistory, measurePredictions } from './measure-predictions.ts';
import { createPredictor } from './predict.ts';
import { predictionHandlers, type TimeoutOptions } from './server.ts';
import type { ReferenceReader } from './tables/reference-reader.ts';
import type { TableStore } from './tables/table-store.ts';
import { type TakeEvents, takeEvents } from './take-events.ts';
import { startAnswerTopics } from './topics/answer-topics.ts';
import { watchCallers } from './watch-callers.ts';

export interface PreprocessorOptions {
  /** host:port; port 0 picks a free port. */
  readonly listen: string;
  readonly drainMs: number;
  /** Without it, HTTP is not served. */
  readonly http?: HttpOptions;
  readonly limits?: AdmissionLimits;
  readonly timeouts?: TimeoutOptions;
  readonly historyGate?: HistoryGateOptions;
  /** Without it, no events are read from Kafka. */
  readonly events?: EventsOptions;
  /** Prefix of the consumer groups of request topics; default hotloop-requests. */
  readonly requestGroup?: string;
}

/** Opened and closed by the caller that starts the service. */
export interface PreprocessorAdapters {
  readonly registry: RegistryReader;
  readonly inference: InferencePort;
  readonly decision: DecisionPort;
  readonly history: History;
  /** Where outcomes received over HTTP are sent. Without it they are not accepted. */
  readonly feedback?: FeedbackPort;
  /** Rows of uploaded tables. Without it, features that need them use their missing value. */
  readonly references?: ReferenceReader;
  /** Where uploaded tables are stored. Without it, none can be uploaded here. */
  readonly tables?: TableStore;
  /** Backfills the history from the archive; without it there are no backfills. */
  readonly backfill?: Backfill;
  /** Buffers events for the archive. Without it, events are only in the history. */
  readonly spool?: EventSpool;
  /** Where answers to requests of topics are sent. Without it, no such topics are read. */
  readonly replies?: EventProducer;
  readonly keepDeadLetter: KeepDeadLetter;
  /** Called with the fields of accepted messages. */
  readonly countShapes?: CountShapes;
  /** Called for rejected calls, which are in no log. */
  readonly countRefused?: CountRefused;
  /** Called with the number of messages of a topic's partition that are not processed yet. */
  readonly onLag?: NonNullable<EventsDependencies['onLag']>;
  readonly authenticator: Authenticator;
  readonly tls?: TlsIdentity | undefined;
  readonly tracing: Tracing;
  readonly log: Log;
  readonly clock?: Clock;
}

export interface Preprocessor extends AsyncDisposable {
  readonly address: string;
  /** host:port of HTTP as bound; empty when HTTP is not served. */
  readonly httpAddress: string;
  /** Resolves when events are being read; at once without events. */
  eventsJoined(timeoutMs: number): Promise<void>;
}

const SERVICE = 'hotloop.v1.PredictionService';
const INTAKE = 'hotloop.v1.IntakeService';
const DEFAULT_TIMEOUTS: TimeoutOptions = { defaultTimeoutMs: 5000, maxTimeoutMs: 60_000 };

/**
 * Starts the preprocessor; resolves when it serves. Reading events starts in the background and never delays it,
 * because predictions do not need Kafka. Disposal, or the signal, drains it and then closes what it opened, in
 * reverse order.
 */
export async function startPreprocessor(
  options: PreprocessorOptions,
  adapters: PreprocessorAdapters,
  signal?: AbortSignal,
): Promise<Preprocessor> {
  const { registry, inference, decision, history, tracing, log } = adapters;
  const clock = adapters.clock ?? systemClock;
  const closing = new Closing(log);
  try {
    const take = takeEvents(history, adapters.spool, clock);
    const counted = adapters.countShapes ? { countShapes: adapters.countShapes } : {};
    const joined = Promise.withResolvers<void>();
    joined.promise.catch(() => undefined);
    if (options.events) {
      const stop = new AbortController();
      const started = startEvents(
        options.events,
        {
          ...{ take, keepDeadLetter: adapters.keepDeadLetter, clock, log },
          ...(adapters.onLag ? { onLag: adapters.onLag } : {}),
          ...counted,
        },
        stop.signal,
      );
      started.then(
        (consumer) => joined.resolve(consumer.joined(60_000)),
        (error: unknown) => {
          log.error({ error }, 'events cannot be read; predictions continue with the current history');
          joined.reject(error);
        },
      );
      closing.defer('events', async () => {
        stop.abort();
        await started.then(
          (consumer) => consumer.stop(options.drainMs),
          () => undefined,
        );
      });
    } else joined.resolve();

    const tallies = options.http?.metrics.tallies;
    const timed = tallies ? measureHistory(history, tallies) : history;
    const gate = new HistoryGate(timed, clock, log, options.historyGate ?? HISTORY_GATE_DEFAULTS);
    const images = createImageDecoder();
    const isModel = (name: string) => registry.current().models.has(name);
    const callers = watchCallers({
      ...{ inference, decision, isModel, clock, ...counted },
      ...(adapters.countRefused ? { countRefused: adapters.countRefused } : {}),
    });
    const answering = createPredictor(
      {
        ...{ registry, history: gate, images, tracing, clock },
        ...{ inference: callers.inference, decision: callers.decision },
        ...(adapters.references ? { references: adapters.references } : {}),
      },
      { limits: options.limits ?? ADMISSION_DEFAULTS, ids: randomPredictionIds(), log },
    );
    const watched = callers.watch(answering);
    const predictor = tallies ? measurePredictions(watched, tallies, isModel) : watched;
    closing.defer('feature plans', () => predictor[Symbol.dispose]());
    const explainer = createExplainer(registry, gate, clock, images, adapters.references);
    closing.defer('explained plans', () => explainer[Symbol.dispose]());

    if (options.events && adapters.replies)
      closing.use(
        'request topics',
        startAnswerTopics(
          {
            brokers: options.events.brokers,
            clientId: options.events.clientId,
            groupPrefix: options.requestGroup ?? 'hotloop-requests',
          },
          {
            ...{
              registry,
              predictor,
              producer: adapters.replies,
              keepDeadLetter: adapters.keepDeadLetter,
              clock,
              log,
            },
            ...counted,
            ...(adapters.onLag ? { onLag: adapters.onLag } : {}),
          },
        ),
      );

    const timeouts = options.timeouts ?? DEFAULT_TIMEOUTS;
    const server = await startGrpcServer({
      services: [
        { name: SERVICE, handlers: predictionHandlers(predictor, timeouts), late: ['Predict'] },
        { name: INTAKE, handlers: intakeHandlers(take, adapters.tables, clock) },
      ],
      definitions: loadServiceDefinitions(['hotloop/v1/prediction.proto', 'hotloop/v1/intake.proto']),
      address: options.listen,
      authenticator: adapters.authenticator,
      tls: adapters.tls,
      tallies,
      log,
    });
    closing.defer('gRPC server', () => server.drain(options.drainMs));
    for (const name of [SERVICE, INTAKE, 'readiness', 'liveness']) server.setServing(name, true);

    const http =
      options.http === undefined
        ? undefined
        : await openHttpServer(
            {
              listen: options.http.listen,
              title: 'Hotloop predictions',
              routes: predictionRoutes({
                ...{ predictor, explainer },
                ...{ timeouts, clock, take: countedTake(take, adapters.countShapes) },
                ...(adapters.feedback ? { feedback: adapters.feedback } : {}),
                ...(adapters.tables ? { tables: adapters.tables } : {}),
                ...(adapters.backfill ? { backfill: { run: adapters.backfill, registry } } : {}),
              }),
            },
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
      eventsJoined: (timeoutMs) =>
        within(joined.promise, timeoutMs, () => {
          throw new DOMException('events were not joined in time', 'TimeoutError');
        }),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await closing.close(5000);
    throw error;
  }
}

/** Events received over HTTP have no partition and offset. */
function countedTake(take: TakeEvents, countShapes: CountShapes | undefined): TakeEvents {
  if (!countShapes) return take;
  return async (events, signal) => {
    await take(events, signal);
    countShapes(
      events.map(({ type, fields, atMs }) => ({
        ...{ topic: 'http', partition: null, offset: null, event: type, fields, atMs },
      })),
    );
  };
}
