import { setTimeout as delay } from 'node:timers/promises';
import { encodePrediction } from '@hotloop/client/prediction.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { initialModel } from '@hotloop/retrainer/training/initial-model.ts';
import { type Figure, figure } from '../figure.ts';
import { type DeadlineResult, deadlineLoad, type Pressure } from '../load/deadline-load.ts';
import { rawLoad } from '../load/raw-load.ts';
import { PREDICT_STREAM, predictItem } from '../models/framed-items.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { connectTo, startBenchLocal } from '../stand/bench-local.ts';
import type { Drill } from './drill.ts';

/** `heavy`: the model is the bottleneck. `light`: a tiny model, so that the services themselves are. */
const MODELS = [
  { name: 'heavy', hidden: [3072, 3072] },
  { name: 'light', hidden: [8] },
] as const;
const manifestOf = (name: string) => `name: ${name}
features:
  - {name: price, from: request.price}
  - {name: count, from: request.count}
`;
const DEADLINE_MS = 500;
const STREAMS = 4;
/** The best of these gives the peak: with more in flight, answers are only later. */
const PEAK_IN_FLIGHT = [8, 16, 32, 64, 128, 256];
const ROUNDS = 3;
const TIMES = 3;
const SHIP_MS = 90_000;

/**
 * Finds the peak rate of predictions answered within their deadline, then sends three times as many, whether or not
 * they are answered; alternating, so that both see the same machine. `overload_goodput`: timely answers per second
 * divided by the peak; `overload_expired`: the share of executed predictions that were answered after their deadline,
 * or not at all. `_light`: the same with a tiny model. The load runs on the same processors as the services.
 */
export const drillOverload: Drill = async ({ seconds, say }): Promise<Figure[]> => {
  const length = Math.min(20, Math.max(3, seconds / 12));
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  const local = stack.use(await startBenchLocal(folder.path));
  const client = stack.use(await connectTo(local, 10_000));
  const load = stack.use(rawLoad(local.addresses.preprocessor));
  const pool = stack.use(
    openPool(local.backing.databaseUrl, {
      ...{ max: 1, queryTimeoutMs: 10_000, application: 'drill', log: silentLog() },
    }),
  );
  const figures: Figure[] = [];
  for (const { name, hidden } of MODELS) {
    const onnx = initialModel({ features: 2, task: 'binary', hidden: [...hidden] });
    const { version } = await client.models.push({ manifestYaml: manifestOf(name), onnx }).finished();
    await client.models.promote(name, version.version).finished();
    const item = predictItem({
      ...encodePrediction(name, { request: { price: 4, count: 2 } }, ''),
      timeoutMs: DEADLINE_MS,
    });
    const run = (pressure: Pressure, forSeconds: number): Promise<DeadlineResult> =>
      deadlineLoad(
        load,
        PREDICT_STREAM,
        item,
        { streams: STREAMS, deadlineMs: DEADLINE_MS, pressure },
        forSeconds,
      );
    await run({ inFlight: 8 }, 2);
    let inFlight = 0;
    let best = 0;
    for (const callers of PEAK_IN_FLIGHT) {
      const { inTimePerSecond } = await run({ inFlight: callers }, length / 2);
      if (inTimePerSecond <= best) continue;
      inFlight = callers;
      best = inTimePerSecond;
    }
    const goodput: number[] = [];
    const peaks: number[] = [];
    let asked = 0;
    let inTime = 0;
    let ran = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const peak = await run({ inFlight }, length / 2);
      const before = await executed(pool, name, peak.inTime);
      const over = await run({ perSecond: TIMES * peak.inTimePerSecond }, length);
      ran += (await executed(pool, name, before + over.inTime)) - before;
      asked += over.asked;
      inTime += over.inTime;
      peaks.push(peak.inTimePerSecond);
      goodput.push(over.inTimePerSecond / peak.inTimePerSecond);
      say(
        `${name}: ${Math.round(peak.inTimePerSecond)} a second with ${inFlight} in flight; asked ${Math.round(over.asked / length)} a second: ` +
          `${Math.round(over.inTimePerSecond)} in time, ${over.late} late, failed by code ${JSON.stringify([...over.failed])}`,
      );
    }
    const suffix = name === 'heavy' ? '' : `_${name}`;
    const isHeld = name === 'heavy';
    figures.push(
      figure(`overload_goodput${suffix}`, goodput, isHeld ? { atLeast: 0.9 } : {}),
      figure(
        `overload_expired${suffix}`,
        [Math.max(0, ran - inTime) / Math.max(1, ran)],
        isHeld ? { atMost: 0.01 } : {},
      ),
      figure(`overload_peak_per_s${suffix}`, peaks),
      figure(`overload_asked${suffix}`, [asked]),
      figure(`overload_executed${suffix}`, [ran]),
    );
  }
  return figures;
};

/**
 * Predictions that a runner has executed, according to the log, once at least this many are shipped and no more
 * arrive.
 */
async function executed(pool: ReturnType<typeof openPool>, model: string, atLeast: number): Promise<number> {
  const end = performance.now() + SHIP_MS;
  for (let last = -1, still = 0; ; ) {
    const { rows } = await pool.query<{ count: string }>(
      'SELECT count(*) FROM prediction WHERE model = $1 AND error_code IS NULL',
      [model],
    );
    const count = Number(rows[0]?.count);
    still = count === last ? still + 1 : 0;
    if ((count >= atLeast && still >= 2) || performance.now() > end) return count;
    last = count;
    await delay(1000);
  }
}
