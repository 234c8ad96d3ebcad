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
import { cpuSecondsBelow } from '../../stand/cpu-seconds.ts';
import { startLocalStand } from '../../stand/local-stand.ts';

const STREAMS = { streams: 4, window: 64 };
const SETTLE_MS = 120_000;
/** The monitor reads the log every five seconds and judges every ten: shorter turns would miss it or pay it twice. */
const LEAST_SECONDS = 10;

export interface MonitorCost {
  /** Predictions for each second of processor time of the whole platform: with monitoring / without, by pair. */
  readonly perProcessor: readonly number[];
  /** Predictions for each second of the clock, likewise. */
  readonly perClock: readonly number[];
}

/**
 * Serving through the four processes under full load, with monitoring and without, in turns on one platform. Without
 * monitoring, the retrainer's process is stopped (SIGSTOP), so all its other work also counts as cost of monitoring.
 *
 * What a prediction takes is counted in processor time of all processes below this one (services, runners, Postgres,
 * Redis, Kafka) until everything that the turn left behind is done: its log is shipped, and, with monitoring, summarised.
 * Where the processors are what limits serving, the ratio of predictions per processor second is the ratio of throughputs,
 * and other programs on the machine hardly change it; they change the ratio by the clock by half and more.
 */
export async function monitorCost({
  rounds,
  seconds,
  say,
}: Pick<BenchOptions, 'rounds' | 'seconds' | 'say'>): Promise<MonitorCost> {
  await using folder = await benchFolder();
  say('starting the services in four processes');
  await using stand = await startLocalStand(folder.path, false);
  const pid = stand.local.pidOf('retrainer');
  if (pid === undefined) throw new Error('the retrainer has no process of its own');
  await using pool = openPool(stand.local.backing.databaseUrl, {
    ...{ max: 1, queryTimeoutMs: 30_000, application: 'bench' },
    log: createLog({ service: 'bench', level: 'error' }),
  });
  const item = predictItem(predictRequest());
  const paid = async (s: number, settle: () => Promise<void>): Promise<PaidSample> => {
    const [before, start] = [cpuSecondsBelow(process.pid), performance.now()];
    const sample = await framedLoad(stand.load, PREDICT_STREAM, item, STREAMS, s);
    const predictions = (sample.perSecond * (performance.now() - start)) / 1000;
    await settle();
    return { ...sample, perCpuSecond: predictions / (cpuSecondsBelow(process.pid) - before) };
  };
  const sides: Side<PaidSample>[] = [
    {
      name: 'on',
      run: (s) =>
        paid(s, async () => {
          await stand.settle();
          await summarised(pool);
        }),
    },
    {
      name: 'off',
      async run(s) {
        process.kill(pid, 'SIGSTOP');
        try {
          return await paid(s, stand.settle);
        } finally {
          process.kill(pid, 'SIGCONT');
        }
      },
      settle: () => summarised(pool),
    },
  ];
  const turn = Math.max(LEAST_SECONDS, seconds);
  await warm(sides, turn, say);
  const measured = await interleave(sides, rounds, turn, say);
  return {
    perProcessor: ratios(measured, 'on', 'off', ({ perCpuSecond }) => perCpuSecond),
    perClock: ratios(measured, 'on', 'off', ({ perSecond }) => perSecond),
  };
}

interface PaidSample extends Sample {
  /** Predictions for each second of processor time. */
  readonly perCpuSecond: number;
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
