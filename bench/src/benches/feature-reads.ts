import {
  compileFeaturePlan,
  type FeatureInput,
  type FeaturePlan,
} from '@hotloop/model/features/feature-plan.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { manifestOf, record } from '@hotloop/model/testing/manifests.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { systemClock } from '@hotloop/platform/clock.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { TrackedReads } from '@hotloop/platform/redis/tracked-reads.ts';
import type { HistoryEntry } from '@hotloop/preprocessor/history/history.ts';
import { decodeEntity } from '@hotloop/preprocessor/history/packed-entity.ts';
import { keyOf, RedisHistory } from '@hotloop/preprocessor/history/redis-history.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';
import { quantile } from '../interleave.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { startBenchRedis } from '../stand/bench-redis.ts';

const USERS = 2000;
const ITEMS = 2000;
const EVENTS_EACH = 10;
const CANDIDATES = 200;
const APPEND = 2000;
const TURNS = 10;

/**
 * Reading the features of one prediction, compared with a bare PING over the same connection, alternating one by one:
 * `read_200`, a user and 200 candidates with 30 features; `read_1`, only the user with the ten features about users.
 * As in the preprocessor, recently read entities are cached until Redis announces a change; in every tenth turn one
 * event of a user and one of an item are added. `read_200_redis` and `read_1_redis` cache nothing: every read goes to
 * Redis.
 */
export async function featureReads({ rounds, seconds, say }: BenchOptions): Promise<Figure[]> {
  await using folder = await benchFolder();
  await using server = await startBenchRedis(folder.path);
  const { redis } = server;
  const changes = await openRedis(server.url, {
    ...{ commandTimeoutMs: 10_000, role: 'cache', name: 'changes', hearsChanges: true, log: silentLog() },
  });
  await using _changes = changes;
  await using kept = new TrackedReads(redis, changes, {
    ...{ decode: decodeEntity, keyOf, maxBytes: 16 * 1024 * 1024, clock: systemClock, log: silentLog() },
  });
  const history = new RedisHistory(redis, kept);
  const bare = new RedisHistory(redis);
  const nowMs = Date.now();
  await fill(history, 'user', USERS, nowMs);
  await fill(history, 'item', ITEMS, nowMs);
  const ranking = compileFeaturePlan(
    manifestOf({ task: 'ranking', features: [...features('user'), ...features('item'), ...plain()] }),
  );
  const alone = compileFeaturePlan(manifestOf({ features: features('user') }));
  const random = new SeededRandom(3);
  const some = (of: number) => Math.floor(random.uniform() * of);
  const inputOf = (candidates: number): FeatureInput => ({
    request: record<AttributeValue>({}),
    entities: record({ user: `user${some(USERS)}` }),
    candidates: Array.from({ length: candidates }, () => ({
      id: `item${some(ITEMS)}`,
      attributes: record<AttributeValue>({ price: 1 }),
    })),
  });
  const read = (from: RedisHistory, plan: FeaturePlan, candidates: number) => {
    const input = inputOf(candidates);
    return timed(() => from.read(plan.reads(input, nowMs)));
  };
  let turn = 0;
  /** The median reads of a user with 200 candidates and of a user alone, over that of a PING. */
  const round = async (from: RedisHistory, name: string): Promise<[number, number]> => {
    const [pings, many, one]: [number[], number[], number[]] = [[], [], []];
    for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
      if (turn++ % TURNS === 0) await history.append(someEvents(some, nowMs, turn), nowMs);
      pings.push(await timed(() => redis.ping()));
      many.push(await read(from, ranking, CANDIDATES));
      pings.push(await timed(() => redis.ping()));
      one.push(await read(from, alone, 0));
    }
    const [ping, p200, p1] = [pings, many, one].map((times) => quantile(times, 0.5)) as [
      number,
      number,
      number,
    ];
    say(
      `${name}: PING ${microseconds(ping)}, 200 candidates ${microseconds(p200)}, one user ${microseconds(p1)}`,
    );
    return [p200 / ping, p1 / ping];
  };
  const [kept200, kept1, bare200, bare1]: number[][] = [[], [], [], []];
  await round(history, 'first');
  for (let at = 0; at < rounds; at++) {
    const [many, one] = await round(history, 'as the preprocessor reads');
    kept200?.push(many);
    kept1?.push(one);
    const [all, alone1] = await round(bare, 'every value from Redis');
    bare200?.push(all);
    bare1?.push(alone1);
  }
  return [
    figure('read_200', kept200 ?? [], { atMost: 2 }),
    figure('read_1', kept1 ?? [], { atMost: 1.2 }),
    figure('read_200_redis', bare200 ?? []),
    figure('read_1_redis', bare1 ?? []),
  ];
}

function microseconds(ms: number): string {
  return `${(ms * 1000).toFixed(0)} us`;
}

/** One event of a user and one of an item. */
function someEvents(some: (of: number) => number, nowMs: number, number: number): HistoryEntry[] {
  return [`user${some(USERS)}`, `item${some(ITEMS)}`].map((entityId) => ({
    ...{ id: `turn-${number}`, entity: entityId.slice(0, 4), entityId, event: 'view' },
    ...{ atMs: nowMs, arrivalUs: (nowMs + number) * 1000, fields: record<AttributeValue>({ price: 1 }) },
  }));
}

/** Fills the history of this many entities with a few events each; returns the memory per entity in Redis, in bytes. */
export async function fill(
  history: RedisHistory,
  entity: string,
  count: number,
  nowMs: number,
  first = 0,
): Promise<void> {
  let batch: HistoryEntry[] = [];
  const flush = async () => {
    await history.append(batch, nowMs);
    batch = [];
  };
  for (let id = first; id < first + count; id++) {
    for (let event = 0; event < EVENTS_EACH; event++)
      batch.push({
        // As long as the keys of events are.
        ...{ id: `${id}-${event}`.padEnd(22, '.'), entity, entityId: `${entity}${id}`, event: 'view' },
        atMs: nowMs - ((id * 7 + event * 31) % 60) * (DAY_MS / 4) - event,
        arrivalUs: (nowMs + event) * 1000,
        fields: record<AttributeValue>({ price: (id + event) % 50 }),
      });
    if (batch.length >= APPEND) await flush();
  }
  await flush();
}

export function features(entity: string) {
  const from = (call: string) => `history.${entity}.view.${call}`;
  return [1, 7].flatMap((days) => [
    { name: `${entity}_count_${days}`, from: from('count'), window: `${days}d`, missing: 0 },
    { name: `${entity}_sum_${days}`, from: from('sum(price)'), window: `${days}d`, missing: 0 },
    { name: `${entity}_mean_${days}`, from: from('mean(price)'), window: `${days}d`, missing: 0 },
    { name: `${entity}_max_${days}`, from: from('max(price)'), window: `${days}d`, missing: 0 },
    { name: `${entity}_min_${days}`, from: from('min(price)'), window: `${days}d`, missing: 0 },
  ]);
}

function plain() {
  return Array.from({ length: 10 }, (_, index) => ({
    name: `plain_${index}`,
    from: 'item.price',
    missing: 0,
  }));
}

export async function timed(run: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await run();
  return performance.now() - begun;
}
