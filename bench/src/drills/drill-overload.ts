import { setTimeout as delay } from 'node:timers/promises';
import type { HotloopClient } from '@hotloop/client';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { initialModel } from '@hotloop/retrainer/training/initial-model.ts';
import { type Figure, figure } from '../figure.ts';
import { openLoad } from '../load/open-load.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { connectTo, startBenchLocal } from '../stand/bench-local.ts';
import type { Drill } from './drill.ts';

const MODEL = 'overload';
const MANIFEST = `name: ${MODEL}
features:
  - {name: price, from: request.price}
  - {name: count, from: request.count}
`;
/** Large enough that the model is what there is too little of, and not the client beside it. */
const HIDDEN = [1024, 1024];
const DEADLINE_MS = 500;
/** The best of these is the peak: more callers than the model can serve in time only answer late. */
const PEAK_CALLERS = [8, 16, 32, 64];
const SHIP_MS = 90_000;

interface Outcome {
  readonly inTime: number;
  readonly asked: number;
  readonly perSecond: number;
}

/**
 * Finds the peak of predictions a second answered within their deadline, then asks three times as many, whether or not they are
 * answered. `overload_goodput`: answers in time a second over the peak; `overload_expired`: the share of executed predictions that
 * were answered after their deadline. The load runs beside the services, on the same processors.
 */
export const drillOverload: Drill = async ({ seconds, say }): Promise<Figure[]> => {
  const length = Math.min(60, Math.max(10, Math.round(seconds / 4)));
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  const local = stack.use(await startBenchLocal(folder.path));
  const client = stack.use(await connectTo(local, 10_000));
  const onnx = initialModel({ features: 2, task: 'binary', hidden: HIDDEN });
  const { version } = await client.models.push({ manifestYaml: MANIFEST, onnx }).finished();
  await client.models.promote(MODEL, version.version).finished();
  await closed(client, 8, 3);
  let peak = await closed(client, PEAK_CALLERS[0] as number, length / 2);
  for (const callers of PEAK_CALLERS.slice(1)) {
    const next = await closed(client, callers, length / 2);
    if (next.perSecond > peak.perSecond) peak = next;
  }
  say(`peak: ${Math.round(peak.perSecond)} answers a second within ${DEADLINE_MS} ms`);
  const pool = stack.use(
    openPool(local.backing.databaseUrl, {
      ...{ max: 1, queryTimeoutMs: 10_000, application: 'drill', log: silentLog() },
    }),
  );
  const before = await executed(pool, 0);
  const over = await open(client, 3 * peak.perSecond, length);
  say(
    `at three times the peak: ${Math.round(over.perSecond)} answers a second in time, of ${over.asked} asked`,
  );
  const after = await executed(pool, before + over.inTime);
  const ran = after - before;
  return [
    figure('overload_goodput', [over.perSecond / peak.perSecond], { atLeast: 0.9 }),
    figure('overload_expired', [Math.max(0, ran - over.inTime) / Math.max(1, ran)], { atMost: 0.01 }),
    figure('overload_peak_per_s', [peak.perSecond]),
    figure('overload_asked', [over.asked]),
    figure('overload_executed', [ran]),
  ];
};

const ask = (client: HotloopClient, index: number) =>
  client.predict(MODEL, { request: { price: index % 10, count: index % 7 } }, { timeoutMs: DEADLINE_MS });

/** A fixed number of callers, each with one call in flight. */
async function closed(client: HotloopClient, callers: number, seconds: number): Promise<Outcome> {
  let inTime = 0;
  let asked = 0;
  const begun = performance.now();
  const end = begun + seconds * 1000;
  const caller = async () => {
    while (performance.now() < end)
      await ask(client, asked++).then(
        () => inTime++,
        () => undefined,
      );
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return { inTime, asked, perSecond: inTime / ((performance.now() - begun) / 1000) };
}

async function open(client: HotloopClient, perSecond: number, seconds: number): Promise<Outcome> {
  const arrivals = await openLoad({ perSecond, seconds, seed: 17, send: (index) => ask(client, index) });
  const inTime = arrivals.filter(({ error, latencyMs }) => error === null && latencyMs <= 2 * DEADLINE_MS);
  return { inTime: inTime.length, asked: arrivals.length, perSecond: inTime.length / seconds };
}

/** Predictions that a runner has executed, as the log has them, once at least so many are shipped and no more come. */
async function executed(pool: ReturnType<typeof openPool>, atLeast: number): Promise<number> {
  const end = performance.now() + SHIP_MS;
  for (let last = -1, still = 0; ; ) {
    const { rows } = await pool.query<{ count: string }>(
      'SELECT count(*) FROM prediction WHERE model = $1 AND error_code IS NULL',
      [MODEL],
    );
    const count = Number(rows[0]?.count);
    still = count === last ? still + 1 : 0;
    if ((count >= atLeast && still >= 4) || performance.now() > end) return count;
    last = count;
    await delay(1000);
  }
}
