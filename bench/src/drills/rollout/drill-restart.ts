import { type Figure, figure } from '../../figure.ts';
import { benchFolder } from '../../stand/bench-folder.ts';
import { openRolloutStand } from '../../stand/rollout-stand.ts';
import type { Drill } from '../drill.ts';
import { until } from '../until.ts';
import { DRILL_MODEL, drillManifest, linearScore } from './drill-models.ts';

/** Nothing listens at this address. */
const NO_POSTGRES = { DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:9/nothing' };
const ASKED = 200;

/**
 * Compute, postprocessor and preprocessor are killed and restarted while Postgres is down: predictions that then
 * fail.
 */
export const drillRestart: Drill = async ({ say }): Promise<Figure[]> => {
  await using folder = await benchFolder();
  await using stand = await openRolloutStand({ folder: folder.path, nodes: 1 });
  const { client, computes, postprocessor, preprocessor } = stand;
  const manifestYaml = drillManifest('rollout: {mode: at_once}\n');
  await client.models.push({ manifestYaml, onnx: linearScore(3, 0) }).finished();
  await client.models.promote(DRILL_MODEL, 1, { actor: 'drill' }).finished();
  const answers = async () => {
    const answer = await client.predict(DRILL_MODEL, { request: { x: 0 } }).catch(() => undefined);
    return answer?.version === 1;
  };
  await until('the first answer', answers);
  const serving = [...computes, postprocessor, preprocessor];
  for (const service of serving) await service.kill();
  const begun = performance.now();
  await Promise.all(serving.map((service) => service.start(NO_POSTGRES)));
  await until('the first answer without Postgres', answers);
  const seconds = (performance.now() - begun) / 1000;
  say(`answers again after ${seconds.toFixed(1)} s without Postgres`);
  let failed = 0;
  for (let index = 0; index < ASKED; index++) if (!(await answers())) failed++;
  return [figure('restart_failed', [failed], { atMost: 0 }), figure('restart_s', [seconds])];
};
