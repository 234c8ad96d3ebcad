import { join } from 'node:path';
import { startBackingServices } from '@hotloop/deploy/backing/backing-services.ts';
import { openEventArchive } from '@hotloop/platform/archive/event-archive.ts';
import { systemClock } from '@hotloop/platform/clock.ts';
import { startConsumer } from '@hotloop/platform/kafka/consumer.ts';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { openEventSpool } from '@hotloop/preprocessor/archive/event-spool.ts';
import { startEvents } from '@hotloop/preprocessor/events.ts';
import { RedisHistory } from '@hotloop/preprocessor/history/redis-history.ts';
import { takeEvents } from '@hotloop/preprocessor/take-events.ts';
import type { Bench } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { CACHE } from '../stand/bench-local.ts';

const EVENTS = 100_000;
const SENT_AT_ONCE = 1000;
const USERS = 5000;
const START_MS = 120_000;
const TURN_MS = 180_000;

/**
 * `ingest`: events per second from a topic into history and archive, divided by those of a consumer that parses the
 * same messages and discards them. Each round reads the same events on both sides; the first is not counted, because
 * the code has not been compiled yet. `ingest_cpu`: the same by this process's processor time, which depends less on what
 * else the machine does.
 */
export const ingestBench: Bench = async ({ rounds, say }): Promise<Figure[]> => {
  const log = silentLog();
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  const backing = stack.use(
    await startBackingServices(
      {
        ...{ dir: join(folder.path, 'backing'), cacheDir: CACHE, log: () => undefined },
        addresses: { DATABASE_URL: 'postgres://unused', REDIS_QUEUE_URL: 'redis://unused' },
      },
      AbortSignal.timeout(START_MS),
    ),
  );
  const brokers = backing.kafkaBrokers.split(',');
  const producer = stack.use(await openProducer({ brokers, clientId: 'bench', log, timeoutMs: 30_000 }));
  const redis = stack.use(
    await openRedis(backing.redisCacheUrl, { commandTimeoutMs: 30_000, role: 'cache', name: 'bench', log }),
  );
  const archive = stack.use(await openEventArchive(openObjectStore(join(folder.path, 'store'))));
  const spool = stack.use(await openEventSpool({ folder: join(folder.path, 'spool') }, archive, log));
  const take = takeEvents(new RedisHistory(redis), spool, systemClock);
  const ratios: number[] = [];
  const rates: number[] = [];
  const costs: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const topic = `ingest-${round}`;
    const nowMs = Date.now();
    for (let from = 0; from < EVENTS; from += SENT_AT_ONCE)
      await producer.send(
        topic,
        Array.from({ length: SENT_AT_ONCE }, (_, index) => message(round, from + index, nowMs)),
      );
    const address = { brokers, clientId: 'bench', log };
    const bare = await speedOf((done, onFirst) =>
      startConsumer({
        ...{ ...address, groupId: `bare-${round}`, topics: [topic], maxBatch: 2000 },
        parse: ({ value }) => JSON.parse(Buffer.from(value ?? []).toString()) as unknown,
        handle: async (messages) => {
          onFirst();
          done(messages.length);
        },
        keepDeadLetter: async () => undefined,
      }),
    );
    const whole = await speedOf((done, onFirst) =>
      startEvents(
        { brokers, clientId: 'bench', topics: [topic], groupId: `history-${round}` },
        {
          take: async (events, signal) => {
            onFirst();
            await take(events, signal);
            done(events.length);
          },
          ...{ keepDeadLetter: async () => undefined, clock: systemClock, log },
        },
      ),
    );
    if (round === 0) continue;
    ratios.push(whole.perSecond / bare.perSecond);
    rates.push(whole.perSecond);
    costs.push(bare.cpuUs / whole.cpuUs);
    say(
      `round ${round}: ${Math.round(whole.perSecond)} events/s into history and archive (${whole.cpuUs.toFixed(1)} us of processor time each), ` +
        `${Math.round(bare.perSecond)} parsed and dropped (${bare.cpuUs.toFixed(1)} us)`,
    );
  }
  await spool.flush();
  return [
    figure('ingest', ratios, { atLeast: 0.5 }),
    figure('ingest_cpu', costs),
    figure('ingest_per_s', rates),
  ];
};

function message(round: number, index: number, nowMs: number) {
  const user = `u${(index * 7919) % USERS}`;
  const time = new Date(nowMs - (index % 3600) * 1000).toISOString();
  return {
    key: user,
    value: JSON.stringify({
      ...{ specversion: '1.0', id: `${round}-${index}`, source: '/bench', type: 'view', time },
      data: { entity: { user }, price: index % 100 },
    }),
  };
}

interface Speed {
  readonly perSecond: number;
  /** Processor time of this process per event, in microseconds. */
  readonly cpuUs: number;
}

/** The speed from the first batch on: the time to join the group does not count. */
async function speedOf(
  start: (done: (events: number) => void, onFirst: () => void) => Promise<AsyncDisposable>,
): Promise<Speed> {
  const finished = Promise.withResolvers<Speed>();
  const late = setTimeout(() => finished.reject(new Error('the topic was not read in time')), TURN_MS);
  let first: { readonly at: number; readonly cpu: NodeJS.CpuUsage } | undefined;
  let count = 0;
  const onFirst = () => {
    first ??= { at: performance.now(), cpu: process.cpuUsage() };
  };
  const done = (events: number) => {
    count += events;
    if (count < EVENTS || first === undefined) return;
    const { user, system } = process.cpuUsage(first.cpu);
    finished.resolve({
      perSecond: count / ((performance.now() - first.at) / 1000),
      cpuUs: (user + system) / count,
    });
  };
  const consumer = await start(done, onFirst);
  try {
    return await finished.promise;
  } finally {
    clearTimeout(late);
    await consumer[Symbol.asyncDispose]();
  }
}
