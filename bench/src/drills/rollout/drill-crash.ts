import { setTimeout as delay } from 'node:timers/promises';
import { verifyLedger } from '@hotloop/retrainer/ledger/ledger.ts';
import { type Figure, figure } from '../../figure.ts';
import { benchFolder } from '../../stand/bench-folder.ts';
import { openRolloutStand, type RolloutStand } from '../../stand/rollout-stand.ts';
import type { Drill } from '../drill.ts';
import { until } from '../until.ts';
import { DRILL_MODEL, drillManifest, linearScore } from './drill-models.ts';

/**
 * A process is killed when the rollout has written this many changes: from its first row to the switch, and after it.
 */
const POINTS = 12;
const VICTIMS = ['controller', 'command', 'compute'] as const;
type Victim = (typeof VICTIMS)[number];

const ROLLOUT = `rollout: {mode: canary, steps: [0, 5, 10, 20, 40, 60, 80], advance: time, every: 50ms, rollback: {watch: 300ms}}
`;

/**
 * Rollouts with a shadow and six shares, in which the retrainer, the command line or the compute node is killed at
 * each of twelve changes. `crash_wrong` counts those after which neither the old nor the new version is live, the
 * rollout and the registry disagree, the history is not linear, or repeating the command does not make the version
 * live.
 */
export const drillCrash: Drill = async ({ say, points }): Promise<Figure[]> => {
  await using folder = await benchFolder();
  await using stand = await openRolloutStand({ folder: folder.path, nodes: 1 });
  const manifestYaml = drillManifest(ROLLOUT);
  for (const bias of [0, 1])
    await stand.client.models.push({ manifestYaml, onnx: linearScore(3, bias) }).finished();
  await stand.client.models.promote(DRILL_MODEL, 1, { actor: 'drill' }).finished();
  let wrong = 0;
  let kills = 0;
  const seconds: number[] = [];
  for (const victim of VICTIMS) {
    // Fewer points are spread over the whole rollout.
    const many = Math.min(POINTS, points);
    for (let index = 0; index < many; index++) {
      const point = 1 + Math.floor((index * POINTS) / many);
      const begun = performance.now();
      const problem = await crashAt(stand, victim, point);
      kills++;
      seconds.push((performance.now() - begun) / 1000);
      if (problem === '') continue;
      wrong++;
      say(`${victim} at change ${point}: ${problem}`);
    }
    say(`${victim}: killed ${many} times`);
  }
  say(`${kills} kills, ${wrong} wrong ends`);
  return [
    figure('crash_wrong', [wrong], { atMost: 0 }),
    figure('crash_kills', [kills]),
    figure('crash_point_s', seconds),
  ];
};

/** Problems at the end; empty when there are none. */
async function crashAt(stand: RolloutStand, victim: Victim, point: number): Promise<string> {
  const before = await modelOf(stand);
  const version = before.live === 1 ? 2 : 1;
  const promoting = stand.command('promote', DRILL_MODEL, String(version), '--reason', `${victim} ${point}`);
  const id = await newRollout(stand, before.rollouts, promoting.ended);
  if (id === undefined) return 'the rollout was not begun';
  await until('the change', async () => (await changesOf(stand, id)) >= point || (await hasEnded(stand, id)));
  await kill(stand, victim, promoting);
  await promoting.ended;
  await until('the end of the rollout', () => hasEnded(stand, id));
  const first = await problemOf(stand, id, before, version);
  if (first !== '') return first;
  // Repeating the command is safe, and must give the intended result.
  const again = await stand.command('promote', DRILL_MODEL, String(version), '--mode', 'at_once').ended;
  if (again.code !== 0) return `the command run again failed: ${again.output}`;
  const after = await modelOf(stand);
  return after.live === version ? '' : `run again, version ${after.live} is live`;
}

async function kill(stand: RolloutStand, victim: Victim, command: { kill(): void }): Promise<void> {
  if (victim === 'command') return command.kill();
  const service = victim === 'controller' ? stand.retrainer : stand.computes[0];
  await service?.kill();
  await delay(100);
  await service?.start();
}

interface ModelFacts {
  readonly live: number;
  readonly generation: number;
  readonly rollouts: number;
}

async function modelOf({ pool }: RolloutStand): Promise<ModelFacts> {
  const { rows } = await pool.query<ModelFacts>(
    `SELECT live_version AS live, generation::int AS generation, (SELECT count(*)::int FROM rollout) AS rollouts
     FROM model WHERE name = $1`,
    [DRILL_MODEL],
  );
  if (!rows[0]) throw new Error('the model is gone');
  return rows[0];
}

async function newRollout(
  { pool }: RolloutStand,
  known: number,
  ended: Promise<unknown>,
): Promise<string | undefined> {
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  for (;;) {
    const { rows } = await pool.query<{ id: string }>(
      'SELECT rollout_id AS id FROM rollout ORDER BY created_at OFFSET $1 LIMIT 1',
      [known],
    );
    if (rows[0]) return rows[0].id;
    if (isOver) return undefined;
    await delay(5);
  }
}

async function changesOf({ pool }: RolloutStand, id: string): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    'SELECT count(*)::int AS n FROM rollout_event WHERE rollout_id = $1',
    [id],
  );
  return rows[0]?.n ?? 0;
}

async function hasEnded({ pool }: RolloutStand, id: string): Promise<boolean> {
  const { rows } = await pool.query('SELECT 1 FROM rollout WHERE rollout_id = $1 AND ended_at IS NOT NULL', [
    id,
  ]);
  return rows.length > 0;
}

async function problemOf(
  stand: RolloutStand,
  id: string,
  before: ModelFacts,
  version: number,
): Promise<string> {
  const after = await modelOf(stand);
  const { rows } = await stand.pool.query<{ state: string; flipped: boolean }>(
    'SELECT state, flipped_at IS NOT NULL AS flipped FROM rollout WHERE rollout_id = $1',
    [id],
  );
  const rollout = rows[0];
  if (!rollout) return 'the rollout is gone';
  const expected = rollout.flipped && rollout.state === 'settled' ? version : before.live;
  if (after.live !== expected) return `${rollout.state}, and version ${after.live} is live`;
  const flips = await flipsOf(stand);
  if (flips.length !== after.generation) return `${flips.length} flips for generation ${after.generation}`;
  for (const [index, flip] of flips.entries()) {
    const earlier = index === 0 ? null : (flips[index - 1]?.version ?? null);
    if (flip.generation !== index + 1 || flip.from !== earlier)
      return `the history is not linear at generation ${flip.generation}`;
  }
  const verdict = await verifyLedger(stand.pool);
  return verdict.broken === null ? '' : `the ledger is broken: ${verdict.broken.problem}`;
}

async function flipsOf({ pool }: RolloutStand) {
  const { rows } = await pool.query<{ version: number; from: number | null; generation: number }>(
    `SELECT version, (detail ->> 'from_version')::int AS from, (detail ->> 'generation')::int AS generation
     FROM ledger WHERE model = $1 AND action IN ('promote', 'rollback') ORDER BY sequence`,
    [DRILL_MODEL],
  );
  return rows;
}
