import { readdir, readFile } from 'node:fs/promises';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { describe, expect, it } from 'vitest';
import { itemMaker } from './testing/infer-items.ts';
import { featureManifest, modelOf, SMALL, storeVersion } from './testing/model-bundles.ts';
import { startTestCompute, type TestCompute } from './testing/start-test-compute.ts';

async function serveTiny(test: TestCompute, extra = ''): Promise<void> {
  const version = await storeVersion(test.store, 1, featureManifest('tiny', 4, extra));
  test.registry.set(modelOf([version], { live: 1 }));
  test.registry.publish();
  await test.until('tiny', 1, 'ready');
}

const ROW = [[1, 2, 3, 4]];

/** Child processes of this process that are still running. */
async function childPids(): Promise<number[]> {
  const threads = await readdir('/proc/self/task');
  // A thread may exit between the two calls.
  const lists = threads.map((thread) =>
    readFile(`/proc/self/task/${thread}/children`, 'utf8').catch(() => ''),
  );
  return (await Promise.all(lists)).join(' ').split(/\s+/).filter(Boolean).map(Number);
}

describe('when things go wrong', () => {
  it('fails expired and cancelled requests without running them, and logs them', async () => {
    await using test = await startTestCompute();
    await serveTiny(test);
    const item = itemMaker();
    const pid = test.compute.fleet.find('tiny', 1)?.runnerPids[0] ?? 0;
    // Stop the runner, so that the requests waiting behind it expire.
    process.kill(pid, 'SIGSTOP');
    const cancelled = new AbortController();
    const answers = [
      test.compute.port.infer(item('tiny', 1, ROW, { timeoutMs: 20_000 })),
      test.compute.port.infer(item('tiny', 1, ROW, { timeoutMs: 20_000 })),
    ];
    await expect.poll(() => test.compute.fleet.inFlight()).toBe(2);
    const waiting = item('tiny', 1, ROW, { timeoutMs: 50, priority: 1 });
    const late = test.compute.port.infer(waiting);
    const gone = test.compute.port.infer(item('tiny', 1, ROW), cancelled.signal);
    const settled = Promise.allSettled([late, gone]);
    cancelled.abort();
    const [lateResult, goneResult] = await settled;
    process.kill(pid, 'SIGCONT');
    expect(lateResult).toMatchObject({ reason: { code: 'DEADLINE_EXCEEDED' } });
    expect(goneResult).toMatchObject({ reason: { code: 'CANCELLED' } });
    await Promise.all(answers);
    await test.compute.flushLog(10_000);
    const { rows } = await test.pool.query('SELECT error_code FROM prediction WHERE prediction_id = $1', [
      waiting.predictionId,
    ]);
    expect(rows).toEqual([{ error_code: 'DEADLINE_EXCEEDED' }]);
    // The same prediction id again, this time answered: the answer replaces the failure in the log.
    await test.compute.port.infer({ ...waiting, timeoutMs: 10_000 });
    await test.compute.flushLog(10_000);
    const after = await test.pool.query(
      'SELECT error_code, outputs FROM prediction WHERE prediction_id = $1',
      [waiting.predictionId],
    );
    expect(after.rows).toEqual([{ error_code: null, outputs: expect.any(Buffer) }]);
  });

  it('answers a request whose runner does not answer in time, and kills a runner that hangs', async () => {
    await using test = await startTestCompute({ fleet: { hangMs: 1_000 } });
    await serveTiny(test);
    const pid = test.compute.fleet.find('tiny', 1)?.runnerPids[0] ?? 0;
    process.kill(pid, 'SIGSTOP');
    const item = itemMaker();
    const started = performance.now();
    await expect(test.compute.port.infer(item('tiny', 1, ROW, { timeoutMs: 100 }))).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    expect(performance.now() - started).toBeLessThan(10_000);
    // The next request waits for the runner that replaces the hung one.
    await test.compute.port.infer(item('tiny', 1, ROW, { timeoutMs: 30_000 }));
    expect(test.compute.fleet.find('tiny', 1)?.runnerPids).not.toContain(pid);
  });

  it.runIf(process.platform === 'linux')(
    'starts no surplus runner after all runners of a version were lost together',
    async () => {
      await using test = await startTestCompute();
      await serveTiny(test, 'runtime: {instances: 2}\n');
      const slot = test.compute.fleet.find('tiny', 1);
      const before = await childPids();
      const [first = 0, second = 0] = slot?.runnerPids ?? [];
      process.kill(first, 'SIGKILL');
      // A replacement is starting, and is stopped (SIGSTOP) when the version loses its last runner.
      const onItsWay = async () => (await childPids()).filter((pid) => !before.includes(pid));
      await expect.poll(onItsWay, { interval: 1 }).toHaveLength(1);
      const [late] = await onItsWay();
      if (late === undefined) throw new Error('the replacement has exited');
      process.kill(late, 'SIGSTOP');
      process.kill(second, 'SIGKILL');
      const isNew = (pid: number) => pid !== first && pid !== second;
      await expect.poll(() => slot?.runnerPids.filter(isNew)).toHaveLength(2);
      await test.until('tiny', 1, 'ready');
      // The replacement belonged to the lost runners and was terminated with them.
      await expect.poll(childPids).toHaveLength(2);
      expect(await childPids()).not.toContain(late);
      expect(slot?.runnerPids).toHaveLength(2);
    },
  );

  it('quarantines an input that has ended three runners, and serves all others', async () => {
    await using test = await startTestCompute({ fleet: { retryMs: 1 } });
    await serveTiny(test);
    const item = itemMaker();
    const poison = () => test.compute.port.infer(item('tiny', 1, [[9, 9, 9, 9]], { timeoutMs: 20_000 }));
    for (let loss = 0; loss < 3; loss++) {
      await test.until('tiny', 1, 'ready');
      const slot = test.compute.fleet.find('tiny', 1);
      const pid = slot?.runnerPids[0] ?? 0;
      // Simulates a model that crashes on this input: the runner is killed while it runs it, and the next runner
      // answers.
      process.kill(pid, 'SIGSTOP');
      const answer = poison();
      await expect.poll(() => slot?.serving?.batcher.running).toBe(1);
      // Queued behind the killer each time; must not be blamed.
      const behind = test.compute.port.infer(item('tiny', 1, ROW, { timeoutMs: 20_000 }));
      await expect.poll(() => slot?.serving?.batcher.running).toBe(2);
      process.kill(pid, 'SIGKILL');
      await Promise.all([answer, behind]);
    }
    await expect(async () => poison()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'quarantined',
    });
    await test.compute.port.infer(item('tiny', 1, ROW));
  });

  it('sheds load that its queue cannot hold, and rejects requests when the log is full', async () => {
    await using test = await startTestCompute({
      journal: { maxBytes: 60_000, segmentBytes: 10_000 },
      shipper: { gatherMs: 60_000 },
    });
    await serveTiny(test, 'runtime: {queue: 10}\n');
    const item = itemMaker();
    const burst = await Promise.allSettled(
      Array.from({ length: 50 }, () => test.compute.port.infer(item('tiny', 1, ROW))),
    );
    const reasons = burst.map((result) =>
      result.status === 'fulfilled' ? 'ok' : `${result.reason.code} ${result.reason.reason}`,
    );
    expect(new Set(reasons)).toEqual(new Set(['ok', 'RESOURCE_EXHAUSTED queue_full']));
    const fill = async () => {
      for (;;) await test.compute.port.infer(item('tiny', 1, ROW));
    };
    await expect(fill()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'log_full' });
    await test.compute.flushLog(10_000);
    await test.compute.port.infer(item('tiny', 1, ROW));
  });

  it('keeps hidden features, and the tensors of predictions that are not sampled, out of the log', async () => {
    await using test = await startTestCompute();
    await serveTiny(test, 'log: {redact: [f1, user], durability: disk}\n');
    const none = await storeVersion(test.store, 1, featureManifest('quiet', 4, 'log: {sample: 0}\n'));
    test.registry.set(modelOf([none], { live: 1 }));
    test.registry.publish();
    await test.until('quiet', 1, 'ready');
    const item = itemMaker();
    await test.compute.port.infer(item('tiny', 1, ROW, { entities: { user: 'secret', shop: 's1' } }));
    await test.compute.port.infer(item('quiet', 1, ROW));
    await test.compute.flushLog(10_000);
    const { rows } = await test.pool.query(
      'SELECT model, entities, features, outputs FROM prediction ORDER BY model',
    );
    expect(rows[0]).toMatchObject({ model: 'quiet', features: null, outputs: null });
    expect(rows[1].entities).toEqual({ shop: 's1' });
    const kept = new Float32Array(Uint8Array.from(rows[1].features).buffer);
    expect([...kept]).toEqual([1, Number.NaN, 3, 4]);
  });

  it('stays within its memory budget: the least recently used version is evicted, and loaded again on request', async () => {
    const MB = 1024 ** 2;
    await using test = await startTestCompute({ fleet: { memoryBudgetBytes: 130 * MB } });
    const item = itemMaker();
    const models = ['a', 'b', 'c', 'd', 'e'];
    for (const model of models) {
      const version = await storeVersion(test.store, 1, featureManifest(model, 4), perceptron(SMALL));
      test.registry.set(modelOf([version], { live: 1 }));
    }
    test.registry.publish();
    // The first model was evicted for the last one, and is loaded again.
    for (const model of [...models, 'a']) {
      await test.compute.port.infer(item(model, 1, ROW, { timeoutMs: 30_000 }));
      const used = [...test.compute.fleet.slots()].reduce((total, slot) => total + slot.memoryBytes(), 0);
      expect(used).toBeLessThan(130 * MB);
    }
    const loaded = [...test.compute.fleet.slots()].filter((slot) => slot.state === 'ready');
    expect(loaded.length).toBeGreaterThan(0);
    expect(loaded.length).toBeLessThan(models.length);
  });

  it('passes nothing of its environment to a runner', async () => {
    await using test = await startTestCompute();
    await serveTiny(test);
    const pid = test.compute.fleet.find('tiny', 1)?.runnerPids[0] ?? 0;
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    const names = environment.split('\0').filter((entry) => entry !== '');
    const known = ['MALLOC_ARENA_MAX=2', 'ORT_DISABLE_TELEMETRY=1', 'PWD=/', 'OLDPWD=/'];
    for (const entry of names) expect(known).toContain(entry);
  });
});
