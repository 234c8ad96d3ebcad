import { setTimeout as delay } from 'node:timers/promises';
import type { HotloopClient } from '@hotloop/client';
import { silentLog } from '@hotloop/platform/log.ts';
import { openRedis, type RedisClient } from '@hotloop/platform/redis/redis.ts';
import { initialModel } from '@hotloop/retrainer/training/initial-model.ts';
import { type Figure, figure } from '../figure.ts';
import { quantile } from '../interleave.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { connectTo, startBenchLocal } from '../stand/bench-local.ts';
import type { Drill } from './drill.ts';

const MODEL = 'outage';
const MANIFEST = `name: ${MODEL}
features:
  - {name: price, from: request.price, missing: 0}
  - {name: views, from: history.user.view.count, window: 7d, missing: 0}
  - {name: spent, from: history.user.buy.sum(price), window: 30d, missing: 0}
`;
/** Predictions per second, sent at a steady rate however they are answered. */
const RATE = 100;
const CALM_S = 20;

/**
 * Predictions that need the history continue while Redis is frozen, emptied and stopped, each for a third of the
 * outage. Counts failed predictions and measures how much the p99 exceeds that of a calm period.
 */
export const drillOutage: Drill = async ({ outage, say }): Promise<Figure[]> => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  const local = stack.use(await startBenchLocal(folder.path));
  const client = stack.use(await connectTo(local));
  const onnx = initialModel({ features: 3, task: 'binary', hidden: [8] });
  const { version } = await client.models.push({ manifestYaml: MANIFEST, onnx }).finished();
  await client.models.promote(MODEL, version.version).finished();
  await load(client, 5);
  const calm = await load(client, CALM_S);
  say(`calm: p99 ${quantile(calm.latencies, 0.99).toFixed(1)} ms`);
  const latencies: number[] = [];
  let failed = 0;
  let asked = 0;
  const seconds = Math.max(1, Math.round(outage / 3));
  const breaks: [string, (redis: RedisClient) => Promise<unknown>][] = [
    ['frozen', (redis) => redis.call('CLIENT', 'PAUSE', String(seconds * 1000), 'ALL')],
    ['emptied', (redis) => redis.flushall()],
    ['stopped', (redis) => redis.call('SHUTDOWN', 'NOSAVE').catch(() => undefined)],
  ];
  for (const [name, breakIt] of breaks) {
    const options = { commandTimeoutMs: 5000, role: 'cache', name: 'drill', log: silentLog() } as const;
    {
      await using redis = await openRedis(local.backing.redisCacheUrl, options);
      await breakIt(redis).catch(() => undefined);
    }
    const under = await load(client, seconds);
    say(
      `${name}: ${under.asked} asked, ${under.failed} failed, p99 ${quantile(under.latencies, 0.99).toFixed(1)} ms`,
    );
    latencies.push(...under.latencies);
    failed += under.failed;
    asked += under.asked;
    await delay(2000);
  }
  return [
    figure('outage_failed', [failed], { atMost: 0 }),
    figure('outage_p99_ms', [Math.max(0, quantile(latencies, 0.99) - quantile(calm.latencies, 0.99))], {
      atMost: 25,
    }),
    figure('outage_asked', [asked]),
  ];
};

async function load(client: HotloopClient, seconds: number) {
  const latencies: number[] = [];
  let failed = 0;
  const calls: Promise<void>[] = [];
  const start = performance.now();
  for (let index = 0; index < seconds * RATE; index++) {
    const wait = start + (index * 1000) / RATE - performance.now();
    if (wait > 0) await delay(wait);
    const begun = performance.now();
    calls.push(
      client.predict(MODEL, { user: `u${index % 100}`, request: { price: index % 10 } }).then(
        () => void latencies.push(performance.now() - begun),
        () => void failed++,
      ),
    );
  }
  await Promise.all(calls);
  return { latencies, failed, asked: calls.length };
}
