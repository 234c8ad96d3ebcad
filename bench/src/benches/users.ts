import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { manifestOf, record } from '@hotloop/model/testing/manifests.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { RedisHistory } from '@hotloop/preprocessor/history/redis-history.ts';
import type { Bench } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';
import { quantile } from '../interleave.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { startBenchRedis } from '../stand/bench-redis.ts';
import { features, fill, timed } from './feature-reads.ts';

const FEW = 10_000;
const SLICE = 50_000;

/**
 * `users_scale`: the median read of one user's features with `--users` users in the history (10,000,000), divided by
 * that with 10,000; also the memory of one user with ten events, in bytes.
 */
export const usersBench: Bench = async ({ users, rounds, seconds, say }): Promise<Figure[]> => {
  await using folder = await benchFolder();
  await using server = await startBenchRedis(folder.path, true);
  const { redis } = server;
  const history = new RedisHistory(redis);
  const nowMs = Date.now();
  const plan = compileFeaturePlan(manifestOf({ features: features('user') }));
  const random = new SeededRandom(9);
  const median = async (count: number) => {
    const medians: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const times: number[] = [];
      for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
        const input = {
          request: record<AttributeValue>({}),
          entities: record({ user: `user${Math.floor(random.uniform() * count)}` }),
          candidates: [],
        };
        times.push(await timed(() => history.read(plan.reads(input, nowMs))));
      }
      medians.push(quantile(times, 0.5));
    }
    return medians;
  };
  const memory = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1] ?? 0);
  const empty = await memory();
  await fill(history, 'user', FEW, nowMs);
  await median(FEW);
  const few = quantile(await median(FEW), 0.5);
  for (let filled = FEW; filled < users; filled += SLICE) {
    await fill(history, 'user', Math.min(SLICE, users - filled), nowMs, filled);
    if (filled % (20 * SLICE) < SLICE)
      say(`${filled} of ${users} users, ${Math.round((await memory()) / 2 ** 20)} MiB`);
  }
  const many = await median(users);
  const bytes = ((await memory()) - empty) / Math.max(FEW, users);
  say(
    `a read of one user: ${(few * 1000).toFixed(0)} us with ${FEW} users, ${(quantile(many, 0.5) * 1000).toFixed(0)} us with ${users}`,
  );
  return [
    figure(
      'users_scale',
      many.map((one) => one / few),
      { atMost: 1.2 },
    ),
    figure('users_count', [users]),
    figure('users_bytes_each', [bytes]),
  ];
};
