import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { checkpointKey } from '@hotloop/retrainer/improve/run-checkpoints.ts';
import { cancelRun } from '@hotloop/retrainer/runs/cancel-run.ts';
import { createRun, findRun } from '@hotloop/retrainer/runs/run-store.ts';
import { type Child, startChild } from '../../child.ts';
import { type Figure, figure } from '../../figure.ts';
import { type LoopStand, openLoopStand } from '../../stand/loop-stand.ts';
import type { Drill } from '../drill.ts';
import { until } from '../until.ts';

const worker = fileURLToPath(new URL('../../stand/training-worker.ts', import.meta.url));
const MODEL = 'resumed';
const PREDICTIONS = 2_000;
const LEASE_MS = 2_000;
const LIMIT_MS = 300_000;
/** At least half a minute of training: checkpoints are 10 s apart. */
const TRAINING = 'training: {epochs: 10000, batch: 64, gate: {at_least: -1}}';

/**
 * A worker process is killed (SIGKILL) in the middle of its training; another one continues from the checkpoint. A
 * third trains without interruption: both candidates must have the same bytes. A fourth is cancelled during its
 * training and must leave nothing behind.
 */
export const drillResumed: Drill = async ({ say }): Promise<Figure[]> => {
  await using stand = await openLoopStand();
  await stand.push(MODEL, `{window: 1d, otherwise: 0}\n${TRAINING}`);
  await stand.fill(MODEL, PREDICTIONS, 'id');
  await stand.pool.query(
    'UPDATE model SET live_version = 1, generation = generation + 1, previous_version = NULL WHERE name = $1',
    [MODEL],
  );
  const killed = await requestRun(stand);
  await using first = await startWorker(stand, killed);
  await until('the first checkpoint', () => hasCheckpoint(stand, killed), LIMIT_MS);
  first.process.kill('SIGKILL');
  say('the first worker is killed in its training');
  await until(
    'its lease to end',
    async () => {
      const { rows } = await stand.pool.query<{ over: boolean }>(
        'SELECT lease_until < now() AS over FROM training_run WHERE run_id = $1',
        [killed],
      );
      return rows[0]?.over === true;
    },
    LIMIT_MS,
  );
  await using second = await startWorker(stand, killed);
  await until('the second worker to end', async () => (await stateOf(second)) === 'ended', LIMIT_MS);
  const resumed = await toldBy(second);
  const whole = await requestRun(stand);
  await using third = await startWorker(stand, whole);
  await until('the third worker to end', async () => (await stateOf(third)) === 'ended', LIMIT_MS);
  const uninterrupted = await toldBy(third);
  const isLeft = await hasCheckpoint(stand, killed);
  say(
    `the second worker resumed at step ${resumed.firstStep}; ${resumed.trained} after the kill, ${uninterrupted.trained} without`,
  );
  const isSame = resumed.trained !== null && resumed.trained === uninterrupted.trained;
  const isRight = isSame && (resumed.firstStep ?? 0) > 1_000 && !isLeft;
  return [
    figure('resumed', [isRight ? 1 : 0], { atLeast: 1 }),
    figure('cancelled', [(await isCancelled(stand, say)) ? 1 : 0], { atLeast: 1 }),
  ];
};

/**
 * Whether a run that is cancelled during its training ends as cancelled, its process ends, and neither files nor a
 * version remain.
 */
async function isCancelled(stand: LoopStand, say: (text: string) => void): Promise<boolean> {
  const foldersBefore = await trainingFolders();
  const runId = await requestRun(stand);
  await using child = await startWorker(stand, runId);
  await until(
    'progress',
    async () => {
      const { progress } = await toldBy(child);
      return progress > 2 && ((await findRun(stand.pool, runId))?.progress ?? 0) > 0;
    },
    LIMIT_MS,
  );
  const begun = performance.now();
  await cancelRun(stand.pool, runId, 'drill', Date.now());
  await until('the worker to end', async () => (await stateOf(child)) === 'ended', LIMIT_MS);
  const run = await findRun(stand.pool, runId);
  const isClean = (await trainingFolders()) <= foldersBefore && (await digestOf(stand, runId)) === undefined;
  say(
    `cancelled in ${Math.round(performance.now() - begun)} ms at ${((run?.progress ?? 0) * 100).toFixed(1)} %`,
  );
  return run?.state === 'cancelled' && isClean;
}

async function trainingFolders(): Promise<number> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith('hotloop-training-')).length;
}

async function requestRun({ pool }: LoopStand): Promise<string> {
  const runId = randomUUID();
  await createRun(pool, { runId, model: MODEL, key: runId, reason: 'drill', hold: true });
  return runId;
}

function startWorker({ databaseUrl, store }: LoopStand, runId: string): Promise<Child> {
  return startChild(worker, { args: [databaseUrl, store, runId, String(LEASE_MS)] });
}

async function hasCheckpoint({ objects }: LoopStand, runId: string): Promise<boolean> {
  try {
    return (await objects.get(checkpointKey(runId))).length > 0;
  } catch (error) {
    if (error instanceof HotloopError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}

async function digestOf({ pool }: LoopStand, runId: string): Promise<string | undefined> {
  const { rows } = await pool.query<{ digest: string }>(
    'SELECT onnx_sha256 AS digest FROM model_version WHERE model = $1 AND run_id = $2',
    [MODEL, runId],
  );
  return rows[0]?.digest.slice(0, 12);
}

interface Told {
  /** Of the first report of progress. */
  readonly firstStep: number | null;
  readonly progress: number;
  /** Digest of what the training left. */
  readonly trained: string | null;
}

async function toldBy(child: Child): Promise<Told> {
  return (await child.ask('told', {})) as Told;
}

async function stateOf(child: Child): Promise<string> {
  return (await child.ask('state', {})) as string;
}
