import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { describe, expect, it } from 'vitest';
import {
  digestOf,
  eventually,
  linearModel,
  makeLive,
  obedientNode,
  openStores,
  push,
  type Stores,
} from '../testing/fixture.ts';
import {
  dependenciesOf,
  LABELLED_MANIFEST,
  playedTrainer,
  withLabels,
  workerOptions,
} from '../testing/labelled-model.ts';
import { advanceRun, claimRun, createRun, findRun, releaseRun, reportProgress } from './run-store.ts';
import { type WorkerOptions, workOnRun } from './run-worker.ts';

async function requested(stores: Stores): Promise<string> {
  const runId = randomUUID();
  await createRun(stores.pool, { runId, model: 'm', key: runId, reason: 'test', hold: false });
  return runId;
}

const runOf = async (stores: Stores, runId: string) => (await findRun(stores.pool, runId))!;

const expireLease = (stores: Stores, runId: string) =>
  stores.pool.query("UPDATE training_run SET lease_until = now() - interval '1 second' WHERE run_id = $1", [
    runId,
  ]);

const never = new AbortController().signal;

const work = (
  stores: Stores,
  runId: string,
  trainer = playedTrainer(),
  change: Partial<WorkerOptions> = {},
  signal = never,
) => workOnRun(runId, dependenciesOf(stores, trainer), workerOptions(stores, change), signal);

describe('a claim', () => {
  it('is given to one worker, and with a higher token after its lease has ended', async () => {
    await using stores = await openStores();
    await withLabels(stores, 0);
    const runId = await requested(stores);
    const claims = await Promise.all(Array.from({ length: 5 }, () => claimRun(stores.pool, runId, 10_000)));
    expect(claims.filter((claim) => claim !== null)).toHaveLength(1);
    await expireLease(stores, runId);
    expect((await claimRun(stores.pool, runId, 10_000))?.token).toBe(2);
  });

  it('is not given for a second run of the same model', async () => {
    await using stores = await openStores();
    await withLabels(stores, 0);
    const [first, second] = [await requested(stores), await requested(stores)];
    const claims = await Promise.all([first, second].map((runId) => claimRun(stores.pool, runId, 10_000)));
    expect(claims.filter((claim) => claim !== null)).toHaveLength(1);
  });

  it('that has expired writes nothing', async () => {
    await using stores = await openStores();
    await withLabels(stores, 0);
    const runId = await requested(stores);
    const stale = (await claimRun(stores.pool, runId, 10_000))!;
    await expireLease(stores, runId);
    const fresh = (await claimRun(stores.pool, runId, 10_000))!;
    const before = await runOf(stores, runId);
    await reportProgress(stores.pool, stale, 0.9, 'from the dead');
    await releaseRun(stores.pool, stale);
    await expect(advanceRun(stores.pool, stale, 'failed', {}, 0)).rejects.toMatchObject({
      code: 'ABORTED',
      reason: 'stale_token',
    });
    expect(await runOf(stores, runId)).toEqual(before);
    const also = async () => {
      throw new Error('a stale claim must not come so far');
    };
    await expect(advanceRun(stores.pool, stale, 'collected', {}, 0, also)).rejects.toMatchObject({
      code: 'ABORTED',
    });
    await advanceRun(stores.pool, fresh, 'collected', {}, 0);
    expect((await runOf(stores, runId)).state).toBe('training');
  });
});

describe('a training run', () => {
  it('counts once when a worker continues after its lease and both write', async () => {
    await using stores = await openStores();
    await withLabels(stores);
    await using _node = obedientNode(stores.pool);
    const runId = await requested(stores);
    const [begun, resume] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const pausing = playedTrainer({
      async train(...input) {
        begun.resolve();
        await resume.promise;
        return playedTrainer({}, 3).train(...input);
      },
    });
    const paused = work(stores, runId, pausing, { leaseMs: 3_600_000 });
    await begun.promise;
    await expireLease(stores, runId);
    await work(stores, runId);
    const settled = await runOf(stores, runId);
    expect(settled).toMatchObject({ state: 'succeeded', version: 2, token: 2 });
    resume.resolve();
    await paused;
    expect(await runOf(stores, runId)).toEqual(settled);
    const { rows } = await stores.pool.query(
      'SELECT version, onnx_sha256 FROM model_version ORDER BY version',
    );
    expect(rows.map((row) => row.onnx_sha256)).toEqual([digestOf(linearModel(1)), digestOf(linearModel(2))]);
  });

  it('is released when the service stops, and resumed', async () => {
    await using stores = await openStores();
    await withLabels(stores);
    await using _node = obedientNode(stores.pool);
    const runId = await requested(stores);
    const stop = new AbortController();
    const stopped = playedTrainer({
      async train(_job, { signal }) {
        stop.abort();
        await sleep(5_000, undefined, { signal: signal! });
        throw new Error('it was not stopped');
      },
    });
    await work(stores, runId, stopped, {}, stop.signal);
    expect(await runOf(stores, runId)).toMatchObject({ state: 'training', endedAt: null });
    await work(stores, runId);
    expect(await runOf(stores, runId)).toMatchObject({ state: 'succeeded', token: 2 });
  });

  it('is retried when the training process died, and fails after too many attempts', async () => {
    await using stores = await openStores();
    await withLabels(stores);
    const runId = await requested(stores);
    const dying = playedTrainer({
      train: async () => {
        throw new HotloopError('UNAVAILABLE', 'the training process died');
      },
    });
    await work(stores, runId, dying);
    expect(await runOf(stores, runId)).toMatchObject({ endedAt: null, token: 1 });
    await work(stores, runId, dying);
    await work(stores, runId, dying);
    expect(await runOf(stores, runId)).toMatchObject({
      state: 'failed',
      message: 'the training process died',
    });
    const another = await requested(stores);
    await stores.pool.query('UPDATE training_run SET token = 3 WHERE run_id = $1', [another]);
    await work(stores, another);
    expect(await runOf(stores, another)).toMatchObject({
      state: 'failed',
      message: expect.stringContaining('3 attempts'),
    });
  });

  it('is refused by the gate with the numbers, and leaves serving unchanged', async () => {
    await using stores = await openStores();
    await withLabels(stores);
    const runId = await requested(stores);
    const worse = playedTrainer({
      async score(job, options) {
        const [live, candidate] = await playedTrainer().score(job, options);
        return [candidate!, live!];
      },
    });
    await work(stores, runId, worse);
    const run = await runOf(stores, runId);
    expect(run).toMatchObject({
      state: 'refused',
      version: null,
      gate: { passed: false, live: 1, candidate: 0.5 },
    });
    expect(run.message).toContain('auc 0.5000 against 1.0000');
    expect(stores.registry.current().models.get('m')?.versions.size).toBe(1);
  });

  it('is refused before training when there are too few examples, and says how many wait', async () => {
    await using stores = await openStores();
    await withLabels(stores, 10);
    const runId = await requested(stores);
    await work(stores, runId);
    expect(await runOf(stores, runId)).toMatchObject({
      state: 'refused',
      examples: 10,
      message: expect.stringContaining('8 to learn from and 2 held out of 10; the gate asks for 5'),
    });
  });

  it('registers but does not promote when promotion is on hold', async () => {
    await using stores = await openStores();
    await withLabels(stores);
    const runId = randomUUID();
    await createRun(stores.pool, { runId, model: 'm', key: 'k', reason: '', hold: true });
    await work(stores, runId);
    expect(await runOf(stores, runId)).toMatchObject({ state: 'succeeded', version: 2 });
    await stores.registry.refresh();
    expect(stores.registry.current().models.get('m')?.liveVersion).toBe(1);
  });

  it('continues with the promotion when a worker was lost after registering', async () => {
    await using stores = await openStores();
    await withLabels(stores);
    const runId = await requested(stores);
    const stop = new AbortController();
    const half = work(stores, runId, playedTrainer(), {}, stop.signal);
    await eventually(async () => (await runOf(stores, runId)).state === 'promoting');
    stop.abort();
    await half;
    await using _node = obedientNode(stores.pool);
    const untrained = playedTrainer({
      train: async () => {
        throw new Error('it must not train again');
      },
    });
    await work(stores, runId, untrained);
    expect(await runOf(stores, runId)).toMatchObject({ state: 'succeeded', version: 2 });
    const { rows } = await stores.pool.query('SELECT live_version FROM model');
    expect(rows).toEqual([{ live_version: 2 }]);
  });

  it('fails when another version went live while it waited, instead of replacing it', async () => {
    await using stores = await openStores();
    await withLabels(stores);
    const runId = await requested(stores);
    await push(stores, LABELLED_MANIFEST, linearModel(9));
    await stores.pool.query(
      "UPDATE training_run SET state = 'promoting', parent_version = 1, version = 1 WHERE run_id = $1",
      [runId],
    );
    await makeLive(stores, 'm', 2);
    await stores.pool.query('UPDATE training_run SET version = 3 WHERE run_id = $1', [runId]);
    await work(stores, runId);
    expect(await runOf(stores, runId)).toMatchObject({
      state: 'failed',
      message: expect.stringContaining('2 is live now'),
    });
  });

  it('keeps its lease while it works', async () => {
    await using stores = await openStores();
    await withLabels(stores);
    await using _node = obedientNode(stores.pool);
    const runId = await requested(stores);
    const [begun, resume] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const slow = playedTrainer({
      async train(...input) {
        begun.resolve();
        await resume.promise;
        return playedTrainer().train(...input);
      },
    });
    const leaseUntil = async () =>
      (await stores.pool.query<{ lease_until: Date }>('SELECT lease_until FROM training_run')).rows[0]!
        .lease_until;
    const leaseMs = 2_000;
    const working = work(stores, runId, slow, { leaseMs });
    await begun.promise;
    const first = (await leaseUntil()).getTime();
    // Longer than the initial lease.
    await eventually(async () => (await leaseUntil()).getTime() > first + leaseMs + 100);
    expect(await claimRun(stores.pool, runId, leaseMs)).toBeNull();
    resume.resolve();
    await working;
    expect(await runOf(stores, runId)).toMatchObject({ state: 'succeeded', token: 1 });
  });

  it('stops when another worker has taken over', async () => {
    await using stores = await openStores();
    await withLabels(stores);
    const runId = await requested(stores);
    const begun = Promise.withResolvers<void>();
    const stopped = Promise.withResolvers<void>();
    const training = playedTrainer({
      train: (_job, { signal }) =>
        new Promise((_, reject) => {
          begun.resolve();
          signal!.addEventListener('abort', () => {
            stopped.resolve();
            reject(new HotloopError('CANCELLED', 'the training was cancelled'));
          });
        }),
    });
    const working = work(stores, runId, training, { leaseMs: 150 });
    await begun.promise;
    await stores.pool.query('UPDATE training_run SET token = token + 1');
    await stopped.promise;
    await working;
    expect(await runOf(stores, runId)).toMatchObject({ state: 'training', endedAt: null, token: 2 });
  });
});
