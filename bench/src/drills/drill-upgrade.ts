import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Figure, figure } from '../figure.ts';
import { steadyLoad } from '../load/steady-load.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { ROOT, startCluster } from '../stand/cluster.ts';
import { DRILL_MODEL, drillInput, makeLive, openDrillClient } from '../stand/drill-model.ts';
import { checkOutSources } from '../stand/source-tree.ts';
import { startStores } from '../stand/stores.ts';
import type { Drill } from './drill.ts';
import { peakPerSecond } from './peak.ts';

/** The state before there were rollouts, monitoring, keys, images and charts; the version of its packages is 0.1.0. */
const BEFORE = 'f89b0ba';
const SHARE_OF_PEAK = 0.6;
/** A process that starts uses a processor for seconds, which on a single machine reduces the load. */
const MOST_PER_SECOND = 200;

/**
 * Services of an older state (`--from`, a commit) are replaced by the current ones, process by process, and then by
 * the older ones again, under load; the newer tables stay. Old and new services run together all the time. Counts
 * failed predictions and wrong answers: the same request has the same score in every mixture.
 */
export const drillUpgrade: Drill = async ({ from = BEFORE, rate, say }): Promise<Figure[]> => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  const older = checkOutSources(ROOT, from, join(folder.path, 'older'));
  const stores = stack.use(await startStores(join(folder.path, 'stores')));
  const cluster = stack.use(
    await startCluster({
      ...{ folder: folder.path, stores, root: older.root },
      counts: { preprocessor: 2, compute: 2, postprocessor: 2, retrainer: 2 },
    }),
  );
  const client = stack.use(
    await openDrillClient(cluster.addresses('preprocessor'), cluster.of('retrainer')[0]?.address ?? ''),
  );
  await makeLive(client, 1);
  // Ten different requests; each must always have the same score.
  const expected = new Map<number, number>();
  for (let price = 0; price < 10; price++)
    expected.set(price, (await client.predict(DRILL_MODEL, drillInput(price))).score);
  const peak = await peakPerSecond(client);
  const perSecond = Math.max(10, Math.min(rate, MOST_PER_SECOND, SHARE_OF_PEAK * peak));
  let different = 0;
  const checking = {
    async predict(...given: Parameters<typeof client.predict>) {
      const answer = await client.predict(...given);
      const price = Number(given[1]?.request?.price);
      if (Math.abs(answer.score - (expected.get(price) ?? Number.NaN)) > 1e-6) different++;
      return answer;
    },
  };
  const load = steadyLoad({ client: checking, model: DRILL_MODEL, perSecond, input: drillInput });
  const replace = async (what: string, root: string) => {
    for (const node of cluster.nodes) {
      const before = load.asked.filter(({ failure }) => failure !== undefined).length;
      await node.stop();
      await node.start(root);
      await delay(500);
      const failed = load.asked.filter(({ failure }) => failure !== undefined).length - before;
      say(`${node.name} ${what}: ${failed} failed`);
    }
  };
  say(`from ${from}, ${Math.round(perSecond)} predictions a second`);
  await replace('is new', ROOT);
  const promoted = await makeLive(client, 1);
  say(`version ${promoted} was promoted by the new services`);
  await replace('is old again', older.root);
  const all = await load.stop();
  const failures = all.flatMap(({ failure }) => failure ?? []);
  if (failures[0] !== undefined) say(`${failures.length} failed, the first with: ${failures[0]}`);
  return [
    figure('upgrade_failed', [failures.length], { atMost: 0 }),
    figure('upgrade_different', [different], { atMost: 0 }),
    figure('upgrade_asked', [all.length]),
  ];
};
