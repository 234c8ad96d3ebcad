import { join } from 'node:path';
import { openEventArchive } from '@hotloop/platform/archive/event-archive.ts';
import { systemClock } from '@hotloop/platform/clock.ts';
import { lazyProducer } from '@hotloop/platform/kafka/lazy-producer.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import type { DecisionPort } from '@hotloop/platform/ports/decision.ts';
import type { FeedbackPort } from '@hotloop/platform/ports/feedback.ts';
import type { InferencePort } from '@hotloop/platform/ports/inference.ts';
import { postgresDeadLetters } from '@hotloop/platform/postgres/keep-dead-letter.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { TrackedReads } from '@hotloop/platform/redis/tracked-reads.ts';
import type { Foundation } from '@hotloop/platform/start-up/foundation.ts';
import type { Listen, PeerSettings, PreprocessorSettings } from '@hotloop/platform/start-up/settings.ts';
import { GrpcDecision } from './adapters/grpc-decision.ts';
import { GrpcFeedback } from './adapters/grpc-feedback.ts';
import { GrpcInference } from './adapters/grpc-inference.ts';
import { type Backfill, createBackfill } from './archive/backfill-history.ts';
import { startCompaction } from './archive/compact-archive.ts';
import { type EventSpool, openEventSpool } from './archive/event-spool.ts';
import { watchHistory } from './archive/rebuild-history.ts';
import { deadLetters } from './dead-letters.ts';
import { followShapes } from './event-shapes.ts';
import { EVENTS_GROUP } from './events.ts';
import { decodeEntity } from './history/packed-entity.ts';
import { keyOf, RedisHistory } from './history/redis-history.ts';
import { type Preprocessor, startPreprocessor } from './service.ts';
import { openReferenceReader } from './tables/reference-reader.ts';
import { TableStore } from './tables/table-store.ts';
import { watchTables } from './tables/watch-tables.ts';

/** The services that the preprocessor calls. */
export interface Peers {
  readonly inference: InferencePort;
  readonly decision: DecisionPort;
  readonly feedback: FeedbackPort;
}

/** The peers in other processes, over gRPC; the foundation's `closing` closes the connections. */
export function openPeers(settings: PeerSettings, { closing, apiKey, tls, log }: Foundation): Peers {
  const channel = { tls, ...(apiKey === undefined ? {} : { apiKey }) };
  const peer = (address: string) => ({ address, channel, streams: streamsTo(address) });
  return {
    inference: closing.use('connection to compute', new GrpcInference(peer(settings.HOTLOOP_COMPUTE), log)),
    decision: closing.use(
      'connection to the postprocessor',
      new GrpcDecision(peer(settings.HOTLOOP_POSTPROCESSOR), log),
    ),
    feedback: closing.use(
      'connection to the retrainer',
      new GrpcFeedback({ address: settings.HOTLOOP_RETRAINER, channel }),
    ),
  };
}

/** A host name may resolve to any number of servers; this many streams, opened in turn, reach most of them. */
const STREAMS_TO_A_NAME = 4;

/** One stream per named server, because each stream leads to one of them. */
function streamsTo(address: string): number {
  return address.startsWith('dns:') ? STREAMS_TO_A_NAME : address.split(',').length;
}

/** Of entities that predictions read lately, packed; decoded about four times as much. */
const KEPT_HISTORY_BYTES = 16 * 1024 * 1024;

/** Opens the preprocessor from its settings; the foundation's `closing` closes it. */
export async function openPreprocessor(
  settings: PreprocessorSettings,
  listen: Listen,
  peers: Peers,
  foundation: Foundation,
): Promise<Preprocessor> {
  const { closing, node, pool } = foundation;
  const log = foundation.log.child({ part: 'preprocessor' });
  const openCache = async (name: string, commandTimeoutMs: number, hearsChanges = false) =>
    closing.use(
      `Redis ${name}`,
      await openRedis(settings.REDIS_CACHE_URL, {
        ...{ commandTimeoutMs, role: 'cache', name, hearsChanges, log },
      }),
    );
  // A prediction's read must not wait behind a batch of events.
  const cache = await openCache('history', 1000);
  const kept = closing.use(
    'kept history',
    new TrackedReads(cache, await openCache('history changes', 1000, true), {
      ...{ decode: decodeEntity, keyOf, maxBytes: KEPT_HISTORY_BYTES, clock: systemClock, log },
    }),
  );
  const history = new RedisHistory(await openCache('events', 5000), kept);
  const tables = new TableStore(pool);
  const references = closing.use('reference tables', await openReferenceReader(tables, cache, log));
  if (settings.HOTLOOP_TABLES_WATCH !== undefined) {
    const files = openObjectStore(settings.HOTLOOP_TABLES_WATCH);
    closing.defer('watched files', async () => files[Symbol.dispose]());
    closing.use('watch of table files', watchTables({ pool, tables, files, log }));
  }
  const archiving = await openArchiving(settings, history, foundation, log);
  const shapes = closing.use('event shapes', await followShapes(pool, systemClock, log));
  const lag = foundation.metrics.meter.createGauge('hotloop.events.lag', {
    description: 'Messages of a partition that are not processed yet',
    unit: '{message}',
  });
  const brokers = settings.KAFKA_BROKERS;
  const keep = postgresDeadLetters(pool, EVENTS_GROUP);
  const producer = brokers
    ? closing.use('Kafka producer', lazyProducer({ brokers, clientId: node, log }))
    : undefined;
  const keepDeadLetter = producer ? deadLetters(producer, keep) : keep;
  return closing.use(
    'preprocessor',
    await startPreprocessor(
      {
        listen: listen.grpc,
        http: { listen: listen.http, metrics: foundation.metrics },
        drainMs: foundation.drainMs,
        ...(brokers ? { events: { brokers, clientId: node, topics: settings.HOTLOOP_EVENT_TOPICS } } : {}),
      },
      {
        registry: foundation.registry,
        inference: peers.inference,
        decision: peers.decision,
        feedback: peers.feedback,
        history,
        keepDeadLetter,
        ...(producer ? { replies: producer } : {}),
        ...{ tables, references },
        ...archiving,
        countShapes: shapes.count,
        countRefused: shapes.countRefused,
        onLag: (topic, partition, messages) => lag.record(messages, { topic, partition }),
        authenticator: foundation.authenticator,
        tls: foundation.tls,
        tracing: foundation.tracing,
        log,
      },
    ),
  );
}

/** Archives events, and rebuilds an emptied history. A node without a data folder does neither. */
async function openArchiving(
  settings: PreprocessorSettings,
  history: RedisHistory,
  { closing }: Foundation,
  log: Log,
): Promise<{ spool?: EventSpool; backfill?: Backfill }> {
  if (settings.HOTLOOP_DATA === undefined) return {};
  const store = openObjectStore(settings.HOTLOOP_STORE);
  closing.defer('archive store', async () => store[Symbol.dispose]());
  const archive = closing.use('archive', await openEventArchive(store));
  const folder = join(settings.HOTLOOP_DATA, 'event-spool');
  const spool = closing.use('event spool', await openEventSpool({ folder }, archive, log));
  closing.use('archive compaction', startCompaction({ archive, clock: systemClock, log }));
  closing.use('history watch', watchHistory({ history, archive, spool, clock: systemClock, log }));
  return { spool, backfill: createBackfill({ history, archive, spool, clock: systemClock }) };
}
