import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { createRun, findRun } from '@hotloop/retrainer/runs/run-store.ts';
import { type Child, startChild } from '../../child.ts';
import { type Figure, figure } from '../../figure.ts';
import { openLoopStand } from '../../stand/loop-stand.ts';
import type { Drill } from '../drill.ts';
import { until } from '../until.ts';

const worker = fileURLToPath(new URL('../../stand/training-worker.ts', import.meta.url));
const MODEL = 'fenced';
const PREDICTIONS = 2_000;
const LEASE_MS = 2_000;
const LIMIT_MS = 240_000;

/**
 * Two worker processes and one request. The first is frozen (SIGSTOP) in the middle of its training, beyond its
 * lease; the second takes over the run and registers its candidate; the first is resumed and finishes its training,
 * and its result must not count.
 */
export const drillFenced: Drill = async ({ say }): Promise<Figure[]> => {
  await using stand = await openLoopStand();
  const { pool } = stand;
  await stand.push(MODEL, '{window: 1d, otherwise: 0}\ntraining: {epochs: 2, gate: {at_least: -1}}');
  await stand.fill(MODEL, PREDICTIONS, 'id');
  await pool.query(
    'UPDATE model SET live_version = 1, generation = generation + 1, previous_version = NULL WHERE name = $1',
    [MODEL],
  );
  const runId = randomUUID();
  await createRun(pool, { runId, model: MODEL, key: runId, reason: 'drill', hold: true });
  const args = [stand.databaseUrl, stand.store, runId, String(LEASE_MS)];
  await using first = await startChild(worker, { args });
  await until('the first worker to train', async () => (await stateOf(first)) === 'training', LIMIT_MS);
  first.process.kill('SIGSTOP');
  say('the first worker is frozen in its training');
  await until(
    'its lease to end',
    async () => {
      const { rows } = await pool.query<{ over: boolean }>(
        'SELECT lease_until < now() AS over FROM training_run WHERE run_id = $1',
        [runId],
      );
      return rows[0]?.over === true;
    },
    LIMIT_MS,
  );
  await using second = await startChild(worker, { args });
  await until('the second worker to end', async () => (await stateOf(second)) === 'ended', LIMIT_MS);
  first.process.kill('SIGCONT');
  await until('the first worker to end', async () => (await stateOf(first)) === 'ended', LIMIT_MS);
  const run = await findRun(pool, runId);
  const { rows } = await pool.query<{ versions: number }>(
    'SELECT count(*)::int AS versions FROM model_version WHERE model = $1 AND run_id = $2',
    [MODEL, runId],
  );
  const versions = rows[0]?.versions ?? 0;
  say(`the run is ${run?.state} with token ${run?.token}; ${versions} candidate registered`);
  const isRight = versions === 1 && run?.state === 'succeeded' && run.token === 2;
  return [{ ...figure('fenced', [versions], { atMost: 1 }), goal: '1', met: isRight }];
};

async function stateOf(child: Child): Promise<string> {
  return (await child.ask('state', {})) as string;
}
