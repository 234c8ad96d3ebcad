import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { manifestOf, record } from '@hotloop/model/testing/manifests.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { keyOf, RedisHistory } from '@hotloop/preprocessor/history/redis-history.ts';
import type { Bench } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';
import { quantile } from '../interleave.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { startBenchRedis } from '../stand/bench-redis.ts';
import { features, fill, timed } from './feature-reads.ts';

const FEW = 10_000;
const SLICE = 50_000;
const REPORT_EVERY = 1_000_000;
/** Copies users from ARGV[3] to ARGV[4]: each gets the value of one of the first ARGV[5] users. */
const COPY_USERS = `
local copied = 0
for id = tonumber(ARGV[3]), tonumber(ARGV[4]) - 1 do
  local from = ARGV[1] .. (id % tonumber(ARGV[5])) .. ARGV[2]
  copied = copied + redis.call('COPY', from, ARGV[1] .. id .. ARGV[2])
end
return copied`;

/**
 * `users_scale`: the median read of one user's features with `--users` users in the history (10,000,000), divided by
 * that with 10,000; also the memory of one user with ten events, in bytes. The first 10,000 users are written as the
 * preprocessor writes them; Redis copies their values for the others, because 100 million events take hours.
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
  const [before = '', after = ''] = keyOf({ entity: 'user', entityId: 'userID' }).split('ID');
  for (let filled = FEW; filled < users; filled += SLICE) {
    const end = Math.min(users, filled + SLICE);
    const copied = await redis.eval(COPY_USERS, 0, before, after, filled, end, FEW);
    if (copied !== end - filled) throw new Error(`Redis copied ${copied} of ${end - filled} users`);
    if (end % REPORT_EVERY === 0)
      say(`${end} of ${users} users, ${Math.round((await memory()) / 2 ** 20)} MiB`);
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
