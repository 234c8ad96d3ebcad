import {
  compileFeaturePlan,
  type FeatureInput,
  type FeaturePlan,
} from '@hotloop/model/features/feature-plan.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { manifestOf, record } from '@hotloop/model/testing/manifests.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { RedisHistory } from '@hotloop/preprocessor/adapters/redis-history.ts';
import type { HistoryEntry } from '@hotloop/preprocessor/history.ts';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';
import { quantile } from '../interleave.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { startBenchRedis } from '../stand/bench-redis.ts';

const USERS = 2000;
const ITEMS = 2000;
const EVENTS_EACH = 10;
const CANDIDATES = 200;
const DAY_MS = 86_400_000;
const APPEND = 2000;

/**
 * Reading the features of one prediction beside a bare PING over the same connection, in turns of one each: `read_200`, a user and 200
 * candidates with 30 features; `read_1`, the user alone with the ten of them that are about users.
 */
export async function featureReads({ rounds, seconds, say }: BenchOptions): Promise<Figure[]> {
  await using folder = await benchFolder();
  await using server = await startBenchRedis(folder.path);
  const { redis } = server;
  const history = new RedisHistory(redis);
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
  const read = (plan: FeaturePlan, candidates: number) => {
    const input = inputOf(candidates);
    return timed(() => history.read(plan.reads(input, nowMs)));
  };
  const ratios200: number[] = [];
  const ratios1: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const [pings, many, one]: [number[], number[], number[]] = [[], [], []];
    for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
      pings.push(await timed(() => redis.ping()));
      many.push(await read(ranking, CANDIDATES));
      pings.push(await timed(() => redis.ping()));
      one.push(await read(alone, 0));
    }
    if (round < 0) continue;
    const [ping, p200, p1] = [pings, many, one].map((times) => quantile(times, 0.5)) as [
      number,
      number,
      number,
    ];
    ratios200.push(p200 / ping);
    ratios1.push(p1 / ping);
    say(
      `PING ${(ping * 1000).toFixed(0)} us, 200 candidates ${(p200 * 1000).toFixed(0)} us, one user ${(p1 * 1000).toFixed(0)} us`,
    );
  }
  return [figure('read_200', ratios200, { atMost: 2 }), figure('read_1', ratios1, { atMost: 1.2 })];
}

/** Fills the history of so many entities with a few events each; answers the memory that Redis takes for one, in bytes. */
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
        ...{ id: `${id}-${event}`, entity, entityId: `${entity}${id}`, event: 'view' },
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
