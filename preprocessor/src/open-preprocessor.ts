import type { DecisionPort } from '@hotloop/platform/ports/decision.ts';
import type { FeedbackPort } from '@hotloop/platform/ports/feedback.ts';
import type { InferencePort } from '@hotloop/platform/ports/inference.ts';
import { postgresSetAside } from '@hotloop/platform/postgres/set-aside.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import type { Foundation } from '@hotloop/platform/start-up/foundation.ts';
import type { Listen, PeerSettings, PreprocessorSettings } from '@hotloop/platform/start-up/settings.ts';
import { GrpcDecision } from './adapters/grpc-decision.ts';
import { GrpcFeedback } from './adapters/grpc-feedback.ts';
import { GrpcInference } from './adapters/grpc-inference.ts';
import { RedisHistory } from './adapters/redis-history.ts';
import { EVENTS_GROUP } from './events.ts';
import { type Preprocessor, startPreprocessor } from './service.ts';

/** The services that the preprocessor asks. */
export interface Peers {
  readonly inference: InferencePort;
  readonly decision: DecisionPort;
  readonly feedback: FeedbackPort;
}

/** The peers as processes of their own, over gRPC; the foundation's `closing` closes the connections. */
export function openPeers(settings: PeerSettings, { closing, apiKey, log }: Foundation): Peers {
  const channel = apiKey === undefined ? {} : { apiKey };
  return {
    inference: closing.use(
      'connection to compute',
      new GrpcInference({ address: settings.HOTLOOP_COMPUTE, channel }, log),
    ),
    decision: closing.use(
      'connection to the postprocessor',
      new GrpcDecision({ address: settings.HOTLOOP_POSTPROCESSOR, channel }, log),
    ),
    feedback: closing.use(
      'connection to the retrainer',
      new GrpcFeedback({ address: settings.HOTLOOP_RETRAINER, channel }),
    ),
  };
}

/** Opens the preprocessor out of its settings; the foundation's `closing` closes it. */
export async function openPreprocessor(
  settings: PreprocessorSettings,
  listen: Listen,
  peers: Peers,
  foundation: Foundation,
): Promise<Preprocessor> {
  const { closing, node, pool } = foundation;
  const log = foundation.log.child({ part: 'preprocessor' });
  const openHistory = async (name: string, commandTimeoutMs: number) => {
    const redis = await openRedis(settings.REDIS_CACHE_URL, { commandTimeoutMs, role: 'cache', name, log });
    return new RedisHistory(closing.use(`Redis ${name}`, redis));
  };
  // Two connections: a prediction's read must not wait behind a batch of events.
  const history = await openHistory('history', 1000);
  const eventHistory = await openHistory('events', 5000);
  return closing.use(
    'preprocessor',
    await startPreprocessor(
      {
        listen: listen.grpc,
        http: { listen: listen.http, metrics: foundation.metrics },
        drainMs: foundation.drainMs,
        ...(settings.KAFKA_BROKERS ? { events: { brokers: settings.KAFKA_BROKERS, clientId: node } } : {}),
      },
      {
        registry: foundation.registry,
        inference: peers.inference,
        decision: peers.decision,
        feedback: peers.feedback,
        history,
        eventHistory,
        setAside: postgresSetAside(pool, EVENTS_GROUP),
        authenticator: foundation.authenticator,
        tracing: foundation.tracing,
        log,
      },
    ),
  );
}
