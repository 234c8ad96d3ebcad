import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { FEATURE_STATUS } from '@hotloop/model/features/feature-status.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { manifestOf, record } from '@hotloop/model/testing/manifests.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import type { HistoryEntry } from '@hotloop/preprocessor/history/history.ts';
import { RedisHistory } from '@hotloop/preprocessor/history/redis-history.ts';
import { MINUTE_MS } from '@hotloop/proto/time-units.ts';
import { type Figure, figure } from '../figure.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { startBenchRedis } from '../stand/bench-redis.ts';
import type { Drill } from './drill.ts';

const READS = 100_000;
const USERS = 2000;
const AT_ONCE = 100;
/** Maximum age of each feature's newest event; for the last feature, of its table. */
const MAX_AGES_MS = [MINUTE_MS, 15 * MINUTE_MS, 60 * MINUTE_MS, 24 * 60 * MINUTE_MS];

const PLAN = compileFeaturePlan(
  manifestOf({
    features: [
      { name: 'views_1m', from: 'history.user.view.count', max_age: '1m', missing: -1 },
      { name: 'spent_15m', from: 'history.user.buy.sum(price)', max_age: '15m', missing: -1 },
      { name: 'last_1h', from: 'history.user.view.last(1).price', max_age: '1h', missing: -1 },
      {
        ...{ name: 'big_1d', from: 'history.user.buy.count', max_age: '1d', missing: -1 },
        ...{ window: '7d', where: 'event.price > 50.0' },
      },
      { name: 'limit', from: 'reference.customers.limit', by: 'user', max_age: '1d', missing: -1 },
    ],
  }),
);
const EVENT_OF = ['view', 'buy', 'view', 'buy'];

/**
 * Random reads of features with `max_age` at random times, while events continue to arrive. Counts values whose
 * newest event, or table, was older than declared but which were marked FRESH, and vice versa.
 */
export const drillFreshness: Drill = async ({ predictions, say }): Promise<Figure[]> => {
  const reads = Math.min(predictions, READS);
  await using folder = await benchFolder();
  await using server = await startBenchRedis(folder.path);
  const history = new RedisHistory(server.redis);
  const random = new SeededRandom(13);
  const baseMs = Date.now();
  /** Newest event of each user and type, as it was sent. */
  const newest = new Map<string, number>();
  let sent = 0;
  const someEvents = (count: number): HistoryEntry[] =>
    Array.from({ length: count }, () => {
      const entityId = `u${Math.floor(random.uniform() * USERS)}`;
      const event = random.uniform() < 0.5 ? 'view' : 'buy';
      const atMs = Math.floor(baseMs - 3 * 24 * 60 * MINUTE_MS * random.uniform() ** 4);
      return {
        ...{ id: `e${sent++}`, entity: 'user', entityId, event, atMs, arrivalUs: (baseMs + sent) * 1000 },
        fields: record<AttributeValue>({ price: Math.round(random.uniform() * 100) }),
      };
    });
  const send = async (count: number) => {
    const events = someEvents(count);
    await history.append(events, baseMs);
    for (const { entityId, event, atMs } of events)
      newest.set(`${entityId} ${event}`, Math.max(atMs, newest.get(`${entityId} ${event}`) ?? 0));
  };
  await send(5 * USERS);
  let staleFresh = 0;
  let freshStale = 0;
  let stale = 0;
  let looked = 0;
  const one = async () => {
    const user = `u${Math.floor(random.uniform() * USERS * 1.1)}`;
    const nowMs = baseMs + Math.floor(random.uniform() * 30 * MINUTE_MS);
    const tableMs = nowMs - Math.floor(random.uniform() * 48 * 60 * MINUTE_MS);
    const input = { request: record<AttributeValue>({}), entities: record({ user }), candidates: [] };
    const answers = await history.read(PLAN.reads(input, nowMs));
    const table = [{ fields: record<AttributeValue>({ limit: 1 }), atMs: tableMs }];
    const { statuses } = PLAN.run(input, answers, nowMs, table);
    for (const [index, status] of statuses.entries()) {
      const maxAgeMs = MAX_AGES_MS[index] ?? 24 * 60 * MINUTE_MS;
      const atMs = index < EVENT_OF.length ? newest.get(`${user} ${EVENT_OF[index]}`) : tableMs;
      if (atMs === undefined) continue;
      const isStale = nowMs - atMs > maxAgeMs;
      looked++;
      if (isStale) stale++;
      if (isStale && status === FEATURE_STATUS.FRESH) staleFresh++;
      if (!isStale && status === FEATURE_STATUS.STALE) freshStale++;
    }
  };
  for (let done = 0; done < reads; done += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    await send(20);
    if (done % 20_000 === 0) say(`${done} of ${reads} reads`);
  }
  return [
    figure('stale_fresh', [staleFresh], { atMost: 0 }),
    figure('fresh_marked_stale', [freshStale]),
    figure('stale_share', [stale / Math.max(1, looked)]),
    figure('freshness_reads', [reads]),
  ];
};
