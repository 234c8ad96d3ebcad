import { setTimeout as delay } from 'node:timers/promises';
import { createLog } from '@hotloop/platform/log.ts';
import { openPool, type Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BenchOptions } from '../../bench.ts';
import { ratios } from '../../figure.ts';
import { interleave, type Side, warm } from '../../interleave.ts';
import { framedLoad } from '../../load/framed-load.ts';
import { predictRequest } from '../../models/bench-requests.ts';
import { PREDICT_STREAM, predictItem } from '../../models/framed-items.ts';
import { benchFolder } from '../../stand/bench-folder.ts';
import { startLocalStand } from '../../stand/local-stand.ts';

const STREAMS = { streams: 4, window: 64 };
const SETTLE_MS = 120_000;

/**
 * Predictions per second through the four processes with monitoring, divided by those without, alternating on one
 * platform. Without monitoring, the retrainer's process is stopped (SIGSTOP), so all its other work also counts as
 * cost of monitoring. After each turn, outside the measured time, it runs until the log is summarized, so that no
 * turn pays for another.
 */
export async function monitorCost({
  rounds,
  seconds,
  say,
}: Pick<BenchOptions, 'rounds' | 'seconds' | 'say'>): Promise<number[]> {
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
  const load = (s: number) => framedLoad(stand.load, PREDICT_STREAM, item, STREAMS, s);
  const settle = async () => {
    await stand.settle();
    await summarised(pool);
  };
  const sides: Side[] = [
    { name: 'on', run: load, settle },
    {
      name: 'off',
      async run(s) {
        process.kill(pid, 'SIGSTOP');
        try {
          return await load(s);
        } finally {
          process.kill(pid, 'SIGCONT');
        }
      },
      settle,
    },
  ];
  await warm(sides, seconds, say);
  return ratios(await interleave(sides, rounds, seconds, say), 'on', 'off', ({ perSecond }) => perSecond);
}

/** Resolves when the monitor has counted every logged prediction. */
async function summarised(pool: Pool): Promise<void> {
  const end = performance.now() + SETTLE_MS;
  while (performance.now() < end) {
    const { rows } = await pool.query<{ done: boolean }>(
      `SELECT (SELECT coalesce(sum(calls), 0) FROM monitor_calls) >= (SELECT coalesce(sum(predictions), 0) FROM logged_count) AS done`,
    );
    if (rows[0]?.done) return;
    await delay(100);
  }
  throw new Error('the monitor did not summarise the logged predictions');
}
