import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { type Figure, figure } from '../figure.ts';
import { steadyLoad } from '../load/steady-load.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { startCluster } from '../stand/cluster.ts';
import { DRILL_MODEL, drillInput, makeLive, openDrillClient } from '../stand/drill-model.ts';
import { startStores } from '../stand/stores.ts';
import type { Drill } from './drill.ts';
import { peakPerSecond } from './peak.ts';

const SETTLE_MS = 3_000;
const SHARE_OF_PEAK = 0.6;
const SHIPPED_MS = 60_000;

/**
 * Three compute nodes, two preprocessors, two postprocessors and two retrainers on one machine, with load through the
 * client library at 60 % of their capacity (at most `--rate`): one compute node is killed, then every process is
 * restarted in turn, then a version is promoted while one retrainer is down.
 */
export const drillCluster: Drill = async ({ rate, say }): Promise<Figure[]> => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  const stores = stack.use(await startStores(join(folder.path, 'stores')));
  const cluster = stack.use(
    await startCluster({
      ...{ folder: folder.path, stores },
      counts: { preprocessor: 2, compute: 3, postprocessor: 2, retrainer: 2 },
    }),
  );
  const [first, second] = cluster.of('retrainer');
  const client = stack.use(await openDrillClient(cluster.addresses('preprocessor'), first?.address ?? ''));
  await makeLive(client, 1);
  const peak = await peakPerSecond(client);
  const perSecond = Math.max(10, Math.min(rate, SHARE_OF_PEAK * peak));
  say(`${Math.round(peak)} predictions a second at most; asked for ${Math.round(perSecond)}`);
  const load = steadyLoad({ client, model: DRILL_MODEL, perSecond, input: drillInput });
  await delay(SETTLE_MS);

  const [, victim] = cluster.of('compute');
  if (victim?.pid !== undefined) process.kill(victim.pid, 'SIGKILL');
  await delay(2 * SETTLE_MS);
  const afterLoss = load.asked.filter(({ failure }) => failure !== undefined).length;
  say(`one of three compute nodes killed: ${afterLoss} of ${load.asked.length} failed`);

  for (const node of cluster.nodes) {
    const failedBefore = load.asked.filter(({ failure }) => failure !== undefined).length;
    await node.stop();
    await node.start();
    await delay(1_000);
    const failed = load.asked.filter(({ failure }) => failure !== undefined).length - failedBefore;
    say(`${node.name} restarted: ${failed} failed`);
  }

  // The process with the leases is gone, so another one takes over the rollout.
  await first?.stop();
  await using other = await openDrillClient(cluster.addresses('preprocessor'), second?.address ?? '');
  const promoted = await makeLive(other, 2).catch((error: unknown) => {
    say(`no promotion with one retrainer: ${String(error)}`);
    return 0;
  });
  await first?.start();
  const asked = await load.stop();
  const failures = asked.flatMap(({ failure }) => failure ?? []);
  if (failures[0] !== undefined) say(`${failures.length} failed, the first with: ${failures[0]}`);

  const ids = asked.flatMap(({ answer }) => (answer ? [answer.id] : []));
  const log = await logged(stores.databaseUrl, ids);
  for (const [node, rows] of log.byNode) say(`${node} answered ${rows}`);
  const share = Math.min(...cluster.of('compute').map(({ name }) => log.byNode.get(name) ?? 0)) / ids.length;
  return [
    figure('node_loss_failed', [failures.length], { atMost: 0 }),
    figure('cluster_asked', [asked.length]),
    figure('cluster_lost', [ids.length - log.rows], { atMost: 0 }),
    figure('cluster_promoted', [promoted === 2 ? 1 : 0], { atLeast: 1 }),
    // A third would be an equal share; each node was down for a while.
    figure('cluster_least_share', [share]),
    figure('cluster_peak_per_s', [peak]),
  ];
};

/** The number of these predictions in the log, and the nodes that wrote them, once no more arrive. */
async function logged(databaseUrl: string, ids: readonly string[]) {
  await using pool = openPool(databaseUrl, {
    ...{ max: 1, queryTimeoutMs: 30_000, application: 'drill', log: silentLog() },
  });
  const end = performance.now() + SHIPPED_MS;
  for (;;) {
    const { rows } = await pool.query<{ node: string; count: number }>(
      'SELECT node, count(*)::int AS count FROM prediction WHERE prediction_id = ANY($1::uuid[]) AND error_code IS NULL GROUP BY node',
      [ids],
    );
    const total = rows.reduce((sum, { count }) => sum + count, 0);
    if (total >= ids.length || performance.now() > end)
      return { rows: total, byNode: new Map(rows.map(({ node, count }) => [node, count])) };
    await delay(250);
  }
}
