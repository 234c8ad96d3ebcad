import { setTimeout as delay } from 'node:timers/promises';
import { createLog } from '@hotloop/platform/log.ts';
import { openPool, type Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BenchOptions } from '../../bench.ts';
import { ratios } from '../../figure.ts';
import { interleave, type Sample, type Side, warm } from '../../interleave.ts';
import { framedLoad } from '../../load/framed-load.ts';
import { predictRequest } from '../../models/bench-requests.ts';
import { PREDICT_STREAM, predictItem } from '../../models/framed-items.ts';
import { benchFolder } from '../../stand/bench-folder.ts';
import { cpuSecondsByProgram } from '../../stand/cpu-seconds.ts';
import { startLocalStand } from '../../stand/local-stand.ts';
import { childrenOf } from '../../stand/process-tree.ts';

const STREAMS = { streams: 4, window: 64 };
const SETTLE_MS = 120_000;
const READ_EVERY_MS = 5_000;
/** The monitor reads the log every five seconds and judges every ten: shorter turns would miss it or pay it twice. */
const LEAST_SECONDS = 10;

export interface MonitorCost {
  /** Throughput with monitoring / without, by pair, where processors are what limits it. */
  readonly perProcessor: readonly number[];
  /** Predictions for each second of the clock: with / without, by pair. */
  readonly perClock: readonly number[];
}

/** The programs in which monitoring works; all others run the same code with and without it. */
const MONITORING: ReadonlySet<string> = new Set(['retrainer', 'postgres']);

/**
 * Two platforms of four services each under full load, by turns: one with monitoring, one whose retrainer leaves it to
 * another (`HOTLOOP_MONITORING=elsewhere`) that does not exist.
 *
 * A turn's processor time is counted by program until what the turn left behind is done: its log is shipped, and, with
 * monitoring, summarised; the other platform waits as long. What monitoring adds is the difference of the retrainer and
 * Postgres alone. It is held against all that a prediction takes without monitoring: the time of the other programs changes by
 * half with how many rows happen to share a run, on a machine that others use too, and says nothing about monitoring.
 */
export async function monitorCost({
  rounds,
  seconds,
  say,
}: Pick<BenchOptions, 'rounds' | 'seconds' | 'say'>): Promise<MonitorCost> {
  await using stack = new AsyncDisposableStack();
  const start = async (name: string, environment: Readonly<Record<string, string>>) => {
    say(`starting the platform ${name} monitoring`);
    const others = new Set(childrenOf(process.pid));
    const folder = stack.use(await benchFolder());
    const stand = stack.use(await startLocalStand(folder.path, false, environment));
    const processes = childrenOf(process.pid).filter((pid) => !others.has(pid));
    return { stand, cpuSeconds: () => cpuSecondsByProgram(processes) };
  };
  const watched = await start('with', {});
  const unwatched = await start('without', { HOTLOOP_MONITORING: 'elsewhere' });
  const pool = stack.use(
    openPool(watched.stand.local.backing.databaseUrl, {
      ...{ max: 1, queryTimeoutMs: 30_000, application: 'bench' },
      log: createLog({ service: 'bench', level: 'error' }),
    }),
  );
  const item = predictItem(predictRequest());
  const paid = async (
    name: string,
    side: typeof watched,
    s: number,
    settled: () => Promise<void>,
  ): Promise<PaidSample> => {
    const [before, begun] = [side.cpuSeconds(), performance.now()];
    const sample = await framedLoad(side.stand.load, PREDICT_STREAM, item, STREAMS, s);
    const predictions = (sample.perSecond * (performance.now() - begun)) / 1000;
    await side.stand.settle();
    await settled();
    const spent = [...side.cpuSeconds()].map(
      ([program, seconds]) => [program, seconds - (before.get(program) ?? 0)] as const,
    );
    const micros = (ofMonitoring: boolean) =>
      (spent.reduce((sum, [program, own]) => sum + (!ofMonitoring || MONITORING.has(program) ? own : 0), 0) *
        1e6) /
      predictions;
    const [all, watching] = [micros(false), micros(true)];
    say(
      `${name}: ${all.toFixed(0)} us of processor time a prediction, ${watching.toFixed(1)} of them in the retrainer and Postgres`,
    );
    return { ...sample, all, watching };
  };
  let waitedMs = READ_EVERY_MS / 2;
  const sides: Side<PaidSample>[] = [
    {
      name: 'on',
      run: (s) =>
        paid('on', watched, s, async () => {
          const begun = performance.now();
          await summarised(pool);
          waitedMs = performance.now() - begun;
        }),
    },
    { name: 'off', run: (s) => paid('off', unwatched, s, () => delay(waitedMs)) },
  ];
  const turn = Math.max(LEAST_SECONDS, seconds);
  await warm(sides, turn, say);
  const measured = await interleave(sides, rounds, turn, say);
  return {
    perProcessor: (measured.get('on') ?? []).flatMap(({ watching }, round) => {
      const off = measured.get('off')?.[round];
      return off ? [off.all / (off.all + watching - off.watching)] : [];
    }),
    perClock: ratios(measured, 'on', 'off', ({ perSecond }) => perSecond),
  };
}

interface PaidSample extends Sample {
  /** Microseconds of processor time for each prediction: of all programs, and of those in which monitoring works. */
  readonly all: number;
  readonly watching: number;
}

/** Resolves when the monitor has counted every logged prediction. */
async function summarised(pool: Pool): Promise<void> {
  const end = performance.now() + SETTLE_MS;
  while (performance.now() < end) {
    const { rows } = await pool.query<{ done: boolean }>(
      `SELECT (SELECT coalesce(sum(calls), 0) FROM monitor_calls) >= (SELECT coalesce(sum(predictions), 0) FROM logged_count) AS done`,
    );
    if (rows[0]?.done) return;
    await delay(250);
  }
  throw new Error('the monitor did not summarise the logged predictions');
}
