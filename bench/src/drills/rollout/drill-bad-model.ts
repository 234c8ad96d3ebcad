import { setTimeout as delay } from 'node:timers/promises';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { type Figure, figure } from '../../figure.ts';
import { benchFolder } from '../../stand/bench-folder.ts';
import { openRolloutStand, type RolloutStand } from '../../stand/rollout-stand.ts';
import type { Drill } from '../drill.ts';
import { until } from '../until.ts';
import { type Asking, askSteadily } from './ask-steadily.ts';
import { DRILL_MODEL, drillManifest, linearScore } from './drill-models.ts';

const PER_SECOND = 50;
const LABELS_LATE_MS = 60_000;
/** How long the good version answers first; its labels are known when the bad one becomes live. */
const BEFORE_MS = 15_000;
const NOISE = 0.1;
const LIMIT_MS = 240_000;

const ROLLOUT = `outcome: {from: sdk, window: 1h}
training: {gate: {metric: accuracy}}
rollout: {mode: at_once, rollback: {metric_drop: 0.05, min_outcomes: 100, watch: 1h}}
`;

/**
 * A version with inverted weights becomes live while labels arrive 60 s late: seconds until it is rolled back
 * automatically (`bad_model_s`), and failed predictions.
 */
export const drillBadModel: Drill = async ({ say }): Promise<Figure[]> => {
  await using folder = await benchFolder();
  await using stand = await openRolloutStand({ folder: folder.path, nodes: 1 });
  const manifestYaml = drillManifest(ROLLOUT);
  await stand.client.models.push({ manifestYaml, onnx: linearScore(8, 0) }).finished();
  await stand.client.models.push({ manifestYaml, onnx: linearScore(-8, 0) }).finished();
  await stand.client.models.promote(DRILL_MODEL, 1, { actor: 'drill' }).finished();
  await until('the first answer', async () => {
    const answer = await stand.client.predict(DRILL_MODEL, { request: { x: 0 } }).catch(() => undefined);
    return answer?.version === 1;
  });
  const asking = askSteadily(stand.client, PER_SECOND);
  await using _labels = tellLabels(stand, asking);
  await delay(BEFORE_MS + LABELS_LATE_MS);
  say(`version 1 has answered ${asking.answers.length}; version 2, its opposite, is promoted`);
  const begun = performance.now();
  await stand.client.models.promote(DRILL_MODEL, 2, { actor: 'drill' }).finished();
  await until('the rollback', () => stateIs(stand, 'rolled_back'), LIMIT_MS);
  const seconds = (performance.now() - begun) / 1000;
  await asking.stop();
  const failed = asking.answers.filter(({ prediction }) => prediction === null);
  const { rows } = await stand.pool.query<{ message: string }>(
    "SELECT message FROM rollout WHERE state = 'rolled_back' ORDER BY created_at DESC LIMIT 1",
  );
  say(`rolled back after ${seconds.toFixed(1)} s: ${rows[0]?.message ?? ''}`);
  return [
    figure('bad_model_s', [seconds], { atMost: 120 }),
    figure('bad_model_failed', [failed.length], { atMost: 0 }),
    figure('bad_model_asked', [asking.answers.length]),
  ];
};

/** The outcome: x above 0, inverted in one of ten cases. It is reported this long after the answer. */
function tellLabels({ client }: RolloutStand, asking: Asking): AsyncDisposable {
  const random = new SeededRandom(5);
  const stop = new AbortController();
  const running = (async () => {
    for (let next = 0; !stop.signal.aborted; ) {
      const due = performance.now() - LABELS_LATE_MS;
      const told = [];
      for (; (asking.answers[next]?.answeredAt ?? Number.POSITIVE_INFINITY) <= due; next++) {
        const asked = asking.answers[next];
        const predictionId = asked?.prediction?.predictionId;
        if (asked === undefined || predictionId === undefined) continue;
        const isPositive = asked.x > 0 !== random.uniform() < NOISE;
        told.push({ model: DRILL_MODEL, predictionId, value: isPositive ? 1 : 0 });
      }
      if (told.length > 0) await client.recordOutcomes(told);
      await delay(200, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

async function stateIs({ pool }: RolloutStand, state: string): Promise<boolean> {
  const { rows } = await pool.query('SELECT 1 FROM rollout WHERE version = 2 AND state = $1', [state]);
  return rows.length > 0;
}
