import { describe, expect, it } from 'vitest';
import { itemMaker } from './testing/infer-items.ts';
import { featureManifest, modelOf, storeVersion } from './testing/model-bundles.ts';
import { startTestCompute } from './testing/start-test-compute.ts';

describe('swap', () => {
  it('replaces a version under load without a failed request, and ends the old runner', async () => {
    await using test = await startTestCompute({ fleet: { drainMs: 100 } });
    const { registry, compute } = test;
    const versions = [];
    for (const version of [1, 2, 3])
      versions.push(await storeVersion(test.store, version, featureManifest('tiny', 4)));
    registry.set(modelOf(versions, { live: 1 }));
    registry.publish();
    await test.until('tiny', 1, 'ready');
    const [oldPid] = compute.fleet.find('tiny', 1)?.runnerPids ?? [];

    const item = itemMaker();
    let live = 1;
    let answered = 0;
    let running = true;
    const failures: unknown[] = [];
    const load = Promise.all(
      Array.from({ length: 8 }, async () => {
        while (running) {
          try {
            await compute.port.infer(item('tiny', live, [[1, 2, 3, 4]]));
            answered++;
          } catch (error) {
            failures.push(error);
          }
        }
      }),
    );
    for (const next of [2, 3]) {
      registry.set(modelOf(versions, { live, target: next, ...(live > 1 ? { previous: live - 1 } : {}) }));
      registry.publish();
      await test.until('tiny', next, 'ready');
      expect(test.report.latest.find((report) => report.version === next)?.state).toBe('ready');
      registry.set(modelOf(versions, { live: next, previous: live }));
      live = next;
      registry.publish();
    }
    // Version 1 is no longer live or previous.
    await test.until('tiny', 1, 'gone');
    running = false;
    await load;
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThan(100);
    expect(compute.fleet.find('tiny', 2)?.state).toBe('ready');
    await expect.poll(() => isAlive(oldPid)).toBe(false);
    await compute.flushLog(10_000);
    const { rows } = await test.pool.query(
      'SELECT count(*)::int AS n FROM prediction WHERE error_code IS NULL',
    );
    expect(rows[0].n).toBe(answered);
  });

  it('leaves everything as it was when a version cannot be loaded, and says why', async () => {
    await using test = await startTestCompute();
    const good = await storeVersion(test.store, 1, featureManifest('tiny', 4));
    const broken = await storeVersion(test.store, 2, featureManifest('tiny', 4), Buffer.from('not a model'));
    test.registry.set(modelOf([good, broken], { live: 1 }));
    test.registry.publish();
    await test.until('tiny', 1, 'ready');
    test.registry.set(modelOf([good, broken], { live: 1, target: 2 }));
    test.registry.publish();
    await test.until('tiny', 2, 'failed');
    const item = itemMaker();
    await test.compute.port.infer(item('tiny', 1, [[1, 2, 3, 4]]));
    await expect(test.compute.port.infer(item('tiny', 2, [[1, 2, 3, 4]]))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'version_failed',
    });
    const report = test.report.latest.find((row) => row.version === 2);
    expect(report?.state).toBe('failed');
    expect(report?.detail).toMatch(/ONNX/);
    // The promotion is undone: the failed version goes, the live one was never touched.
    test.registry.set(modelOf([good, broken], { live: 1 }));
    test.registry.publish();
    await test.until('tiny', 2, 'gone');
    expect(test.compute.fleet.find('tiny', 1)?.state).toBe('ready');
  });

  it('replaces a runner that is killed, and runs its batch again', async () => {
    await using test = await startTestCompute();
    const version = await storeVersion(test.store, 1, featureManifest('tiny', 4));
    test.registry.set(modelOf([version], { live: 1 }));
    test.registry.publish();
    await test.until('tiny', 1, 'ready');
    const item = itemMaker();
    const answers = Array.from({ length: 50 }, () =>
      test.compute.port.infer(item('tiny', 1, [[1, 2, 3, 4]])),
    );
    test.killRunner('tiny', 1);
    const settled = await Promise.allSettled(answers);
    expect(settled.filter((result) => result.status === 'rejected')).toEqual([]);
    await test.until('tiny', 1, 'ready');
  });
});

function isAlive(pid = 0): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
