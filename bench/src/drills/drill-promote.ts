import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '@hotloop/client';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { type Figure, figure } from '../figure.ts';
import { benchPerceptron } from '../models/bench-models.ts';
import { PREDICT_MODEL, predictManifest } from '../models/bench-requests.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { openRolloutStand, type RolloutStand } from '../stand/rollout-stand.ts';
import type { Drill } from './drill.ts';
import { until } from './until.ts';

/**
 * Time limit for every promotion to end, including restarts, the lease of a lost retrainer and the liveness timeout
 * of nodes.
 */
const END_MS = 90_000;
const VICTIMS = ['caller', 'retrainer', 'compute'] as const;
type Victim = (typeof VICTIMS)[number];

/** How a promotion ended, according to Postgres. */
type End = 'completed' | 'rolled back' | 'never begun' | 'lost';

interface Outcome {
  readonly end: End;
  /** The error of the caller's call; empty when there was none. */
  readonly told: string;
}

/**
 * Promotes repeatedly and kills the caller, the retrainer or the compute node at 40 points (`--points`) spread evenly
 * over a promotion.
 * `promote_lost` counts promotions that were started and are neither completed (their version is live) nor rolled
 * back (the previous version is live and nothing is in progress).
 */
export const drillPromote: Drill = async ({ points, say }): Promise<Figure[]> => {
  await using folder = await benchFolder();
  await using stand = await openRolloutStand({ folder: folder.path, nodes: 1 });
  const lengthMs = await calmPromotion(stand);
  say(`a promotion takes ${Math.round(lengthMs)} ms; ${points} kills`);

  const ends: Record<End, number> = { completed: 0, 'rolled back': 0, 'never begun': 0, lost: 0 };
  const seconds: number[] = [];
  for (let point = 0; point < points; point++) {
    const victim = VICTIMS[point % VICTIMS.length] ?? 'caller';
    const atMs = (lengthMs * (point + 0.5)) / points;
    const begun = performance.now();
    const { end, told } = await promoteAndKill(stand, victim, atMs);
    ends[end]++;
    seconds.push((performance.now() - begun) / 1000);
    say(
      `${victim} killed after ${Math.round(atMs)} ms: ${end} (${seconds.at(-1)?.toFixed(1)} s)${told === '' ? '' : `; the caller was told: ${told}`}`,
    );
  }
  return [
    figure('promote_lost', [ends.lost], { atMost: 0 }),
    figure('promote_kills', [points]),
    figure('promote_completed', [ends.completed]),
    figure('promote_rolled_back', [ends['rolled back']]),
    figure('promote_never_begun', [ends['never begun']]),
    figure('promote_end_s', seconds),
  ];
};

/** Two versions, the first live; then one undisturbed promotion. Resolves with its duration. */
async function calmPromotion({ client }: RolloutStand): Promise<number> {
  for (const seed of [1, 2])
    await client.models
      .push({ manifestYaml: predictManifest(), onnx: benchPerceptron('small', seed).onnx })
      .finished();
  await client.models.promote(PREDICT_MODEL, 1).finished();
  const begun = performance.now();
  await client.models.promote(PREDICT_MODEL, 2).finished();
  return performance.now() - begun;
}

async function promoteAndKill(stand: RolloutStand, victim: Victim, atMs: number): Promise<Outcome> {
  const before = await readModel(stand.pool);
  const version = before.live === 1 ? 2 : 1;
  const rolloutsBefore = await countRollouts(stand.pool);
  const leaving = new AbortController();
  // A new client each time, because the state of a client that lost its server must not help at the next point.
  await using client = await connect({
    address: stand.preprocessor.address,
    retrainerAddress: stand.retrainer.address,
  });
  // Channels to one address share their backoff: after a kill the next call would fail at once.
  await until('an answer of the retrainer', () =>
    client.models.list().then(
      () => true,
      () => false,
    ),
  );
  const promotion = client.models
    .promote(PREDICT_MODEL, version, { signal: leaving.signal, timeoutMs: END_MS })
    .finished()
    .then(
      () => '',
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
  await delay(atMs);
  const service = victim === 'retrainer' ? stand.retrainer : stand.computes[0];
  if (victim === 'caller') leaving.abort();
  else {
    await service?.kill();
    await service?.start();
  }
  const told = await promotion;
  const end = await waitForEnd(stand.pool, { version, before: before.live, rolloutsBefore });
  return { end, told };
}

interface Expected {
  readonly version: number;
  readonly before: number | null;
  readonly rolloutsBefore: number;
}

/** Waits until the promotion has ended in some way and the live version is served. */
async function waitForEnd(pool: Pool, expected: Expected): Promise<End> {
  const until = performance.now() + END_MS;
  for (;;) {
    const end = await endOf(pool, expected);
    if (end !== undefined) return end;
    if (performance.now() > until) return 'lost';
    await delay(200);
  }
}

/** Undefined while the promotion is in progress, or a node does not serve the live version yet. */
async function endOf(pool: Pool, { version, before, rolloutsBefore }: Expected): Promise<End | undefined> {
  const model = await readModel(pool);
  if (model.target !== null || !model.isServed) return undefined;
  if ((await countRollouts(pool)) === rolloutsBefore)
    return model.live === before ? 'never begun' : undefined;
  const { rows } = await pool.query<{ state: string }>(
    'SELECT state FROM rollout WHERE model = $1 AND version = $2 ORDER BY created_at DESC LIMIT 1',
    [PREDICT_MODEL, version],
  );
  const state = rows[0]?.state ?? '';
  if (state === 'live' || state === 'settled') return model.live === version ? 'completed' : undefined;
  if (state === 'failed' || state === 'aborted' || state === 'rolled_back')
    return model.live === before ? 'rolled back' : undefined;
  return undefined;
}

interface ModelState {
  readonly live: number | null;
  readonly target: number | null;
  /** True when the node is alive and has the live version ready. */
  readonly isServed: boolean;
}

async function readModel(pool: Pool): Promise<ModelState> {
  const { rows } = await pool.query<{ live: number | null; target: number | null; served: boolean }>(
    `SELECT live_version AS live, target_version AS target, EXISTS (
       SELECT FROM node_version v JOIN node n ON n.node = v.node WHERE v.model = name AND v.version = live_version
         AND v.state = 'ready' AND n.seen_at > now() - interval '10 s') AS served
     FROM model WHERE name = $1`,
    [PREDICT_MODEL],
  );
  const [row] = rows;
  return { live: row?.live ?? null, target: row?.target ?? null, isServed: row?.served ?? false };
}

async function countRollouts(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ count: number }>('SELECT count(*)::int AS count FROM rollout');
  return rows[0]?.count ?? 0;
}
