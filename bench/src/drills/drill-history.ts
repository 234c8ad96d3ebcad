import { setTimeout as delay } from 'node:timers/promises';
import { eventsOf, NO_EVENTS } from '@hotloop/model/features/event-list.ts';
import { HISTORY_LENGTH } from '@hotloop/model/features/history.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { RedisHistory } from '@hotloop/preprocessor/history/redis-history.ts';
import { type Figure, figure } from '../figure.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { startBenchLocal } from '../stand/bench-local.ts';
import type { Drill } from './drill.ts';

const USERS = 500;
const EVENTS = 30_000;
/** Share of the events that belong to a few users, who have thousands each. */
const HEAVY_SHARE = 0.5;
const HEAVY_USERS = 5;
const BATCH = 500;
const WINDOWS_MS = [3_600_000, 24 * 3_600_000, 7 * 24 * 3_600_000];
const LONGEST_MS = Math.max(...WINDOWS_MS);
const SETTLE_MS = 120_000;

interface Sent {
  readonly user: string;
  readonly id: string;
  readonly atMs: number;
  readonly price: number;
}

/**
 * All events are sent twice, out of order, while the preprocessor is killed repeatedly. Then the windows of every
 * user are compared with an exact count of the events: counts and sums over three windows.
 */
export const drillHistory: Drill = async ({ kills, say }): Promise<Figure[]> => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  const local = stack.use(await startBenchLocal(folder.path));
  const log = silentLog();
  const brokers = local.backing.kafkaBrokers.split(',');
  const producer = stack.use(await openProducer({ brokers, clientId: 'drill', log }));
  const redis = stack.use(
    await openRedis(local.backing.redisCacheUrl, {
      commandTimeoutMs: 10_000,
      role: 'cache',
      name: 'drill',
      log,
    }),
  );
  const history = new RedisHistory(redis);
  const events = someEvents(Date.now());
  const all = [...events, ...events];
  const everyBatches = Math.max(1, Math.floor(all.length / BATCH / kills));
  let killed = 0;
  for (let from = 0; from < all.length; from += BATCH) {
    await producer.send('hotloop.events', all.slice(from, from + BATCH).map(messageOf));
    if ((from / BATCH) % everyBatches === 0 && killed < kills) {
      const pid = local.pidOf('preprocessor');
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
      killed++;
      await delay(1000);
    }
  }
  say(`${all.length} events sent, ${killed} kills`);
  // A marker on every partition would be exact; waiting until a count no longer changes is simpler, and bounded.
  const end = performance.now() + SETTLE_MS;
  let wrong = await wrongUsers(history, events);
  while (wrong > 0 && performance.now() < end) {
    await delay(1000);
    wrong = await wrongUsers(history, events);
  }
  await delay(3000);
  return [
    figure('replay_wrong', [await wrongUsers(history, events)], { atMost: 0 }),
    figure('replay_kills', [killed]),
    figure('replay_users', [USERS]),
    figure('replay_most_events_of_a_user', [
      Math.max(...[...Map.groupBy(events, ({ user }) => user).values()].map(({ length }) => length)),
    ]),
  ];
};

function someEvents(nowMs: number): Sent[] {
  const random = new SeededRandom(7);
  return Array.from({ length: EVENTS }, (_, index) => ({
    user: `u${Math.floor(random.uniform() * (random.uniform() < HEAVY_SHARE ? HEAVY_USERS : USERS))}`,
    id: `e${index}`,
    atMs: Math.floor(nowMs - random.uniform() * LONGEST_MS * 1.2),
    price: Math.round(random.uniform() * 100),
  }));
}

const messageOf = ({ user, id, atMs, price }: Sent) => ({
  key: user,
  value: JSON.stringify({
    ...{ specversion: '1.0', id, source: '/drill', type: 'view', time: new Date(atMs).toISOString() },
    data: { entity: { user }, price },
  }),
});

/** Users with at least one wrong window. */
async function wrongUsers(history: RedisHistory, events: readonly Sent[]): Promise<number> {
  const nowMs = Date.now();
  const sent = Map.groupBy(events, ({ user }) => user);
  const users = [...sent.keys()];
  const answers = await history.read(
    users.map((entityId) => ({
      entity: 'user',
      entityId,
      event: 'view',
      sinceMs: 0,
      limit: HISTORY_LENGTH,
      fields: true,
      summarize: { events: 0, edgesMs: WINDOWS_MS.map((windowMs) => nowMs - windowMs) },
    })),
  );
  return users.filter((user, at) => {
    const found = eventsOf(answers[at] ?? NO_EVENTS);
    return WINDOWS_MS.some((windowMs) => {
      const expected = (sent.get(user) ?? []).filter(({ atMs }) => atMs >= nowMs - windowMs);
      const got = found.filter(({ atMs }) => atMs >= nowMs - windowMs);
      const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
      return (
        expected.length !== sum(got.map(({ summary }) => summary?.count ?? 1)) ||
        sum(expected.map(({ price }) => price)) !==
          sum(got.map(({ fields, summary }) => summary?.fields.price?.sum ?? Number(fields.price)))
      );
    });
  }).length;
}
