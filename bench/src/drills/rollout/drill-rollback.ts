import { setTimeout as delay } from 'node:timers/promises';
import { type Figure, figure } from '../../figure.ts';
import { benchFolder } from '../../stand/bench-folder.ts';
import { openRolloutStand, type RolloutStand } from '../../stand/rollout-stand.ts';
import type { Drill } from '../drill.ts';
import { until } from '../until.ts';
import { type Asked, type Asking, askSteadily } from './ask-steadily.ts';
import { DRILL_MODEL, drillManifest, linearScore } from './drill-models.ts';

const NODES = 3;
const ROUNDS = 5;
const PER_SECOND = 200;

/**
 * `hotloop rollback` under load, with three compute nodes: from the start of the command's process to the last answer
 * of the bad version (`rollback_ms`), and failed predictions. `rollback_flip_ms` counts from the time at which the
 * control API had the request.
 */
export const drillRollback: Drill = async ({ say }): Promise<Figure[]> => {
  await using folder = await benchFolder();
  await using stand = await openRolloutStand({ folder: folder.path, nodes: NODES });
  const manifestYaml = drillManifest('rollout: {mode: at_once}\n');
  await stand.client.models.push({ manifestYaml, onnx: linearScore(3, 0) }).finished();
  await stand.client.models.push({ manifestYaml, onnx: linearScore(-3, 0) }).finished();
  await stand.client.models.promote(DRILL_MODEL, 1, { actor: 'drill' }).finished();
  await until('the first answer', () => answers(stand, 1));
  const asking = askSteadily(stand.client, PER_SECOND);
  const fromCommand: number[] = [];
  const fromRequest: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await stand.client.models.promote(DRILL_MODEL, 2, { actor: 'drill' }).finished();
    await until('version 2 answering', () => last(asking)?.prediction?.version === 2);
    await delay(1_000);
    const { took, sinceRequest } = await rollBack(stand, asking);
    fromCommand.push(took);
    fromRequest.push(sinceRequest);
    say(
      `round ${round + 1}: last answer of version 2 after ${Math.round(took)} ms, ${Math.round(sinceRequest)} ms of them after the request`,
    );
  }
  await asking.stop();
  const failed = asking.answers.filter(({ prediction }) => prediction === null);
  for (const { error } of failed.slice(0, 3)) say(`failed: ${error}`);
  return [
    figure('rollback_ms', fromCommand, { atMost: 1_000 }),
    figure('rollback_failed', [failed.length], { atMost: 0 }),
    figure('rollback_flip_ms', fromRequest),
    figure('rollback_asked', [asking.answers.length]),
  ];
};

async function rollBack(
  stand: RolloutStand,
  asking: Asking,
): Promise<{ took: number; sinceRequest: number }> {
  const begun = performance.now();
  const begunAt = Date.now();
  const { code, output } = await stand.command('rollback', DRILL_MODEL, '--reason', 'drill').ended;
  if (code !== 0) throw new Error(`hotloop rollback failed: ${output}`);
  await until('version 1 answering', () => last(asking)?.prediction?.version === 1);
  await delay(500);
  const bad = asking.answers.filter(
    ({ prediction, answeredAt }) => prediction?.version === 2 && answeredAt >= begun,
  );
  const lastBad = Math.max(begun, ...bad.map(({ answeredAt }) => answeredAt));
  const { rows } = await stand.pool.query<{ at: number }>(
    `SELECT extract(epoch FROM created_at)::float8 * 1000 AS at FROM rollout WHERE action = 'rollback' ORDER BY created_at DESC LIMIT 1`,
  );
  const requested = begun + ((rows[0]?.at ?? begunAt) - begunAt);
  return { took: lastBad - begun, sinceRequest: Math.max(0, lastBad - requested) };
}

/** Of the last answers, the one that was requested last, because answers may overtake each other. */
function last({ answers }: Asking): Asked | undefined {
  return answers
    .slice(-20)
    .reduce<Asked | undefined>(
      (newest, one) => (newest && newest.dueAt > one.dueAt ? newest : one),
      undefined,
    );
}

async function answers({ client }: RolloutStand, version: number): Promise<boolean> {
  const answer = await client.predict(DRILL_MODEL, { request: { x: 0 } }).catch(() => undefined);
  return answer?.version === version;
}
