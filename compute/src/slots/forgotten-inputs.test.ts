import { describe, expect, it } from 'vitest';
import { itemMaker } from '../testing/infer-items.ts';
import { featureManifest, modelOf, storeVersion } from '../testing/model-bundles.ts';
import { startTestCompute, type TestCompute } from '../testing/start-test-compute.ts';

const ROW = [[1, 2, 3, 4]];

async function serve(test: TestCompute, name: string): Promise<void> {
  test.registry.set(modelOf([await storeVersion(test.store, 1, featureManifest(name, 4))], { live: 1 }));
  test.registry.publish();
  await test.until(name, 1, 'ready');
}

function deleteModel(test: TestCompute, name: string): void {
  const models = new Map(test.registry.current().models);
  models.delete(name);
  test.compute.fleet.follow({ models });
}

describe('the recent inputs of a deleted model', () => {
  it('are removed, including those answered until its last version is gone', async () => {
    await using test = await startTestCompute({ fleet: { drainMs: 100 } });
    const { recent } = test.compute.fleet;
    await serve(test, 'kept');
    await serve(test, 'deleted');
    const pid = test.compute.fleet.find('deleted', 1)?.runnerPids[0] ?? 0;
    const ask = itemMaker();
    process.kill(pid, 'SIGSTOP');
    // The very first request, which is always kept if it is answered without error.
    const late = test.compute.port.infer(ask('deleted', 1, ROW, { timeoutMs: 20_000 }));
    await expect.poll(() => test.compute.fleet.inFlight()).toBe(1);
    deleteModel(test, 'deleted');
    process.kill(pid, 'SIGCONT');
    await late;
    await test.until('deleted', 1, 'gone');
    expect(recent.of('deleted')).toEqual([]);
    for (let count = 0; count < 16; count++) await test.compute.port.infer(ask('kept', 1, ROW));
    expect(recent.of('kept')).toHaveLength(1);
  });

  it('is forgotten where none of its versions is loaded', async () => {
    await using test = await startTestCompute();
    const { fleet } = test.compute;
    await serve(test, 'asleep');
    await test.compute.port.infer(itemMaker()('asleep', 1, ROW));
    expect(fleet.recent.of('asleep')).toHaveLength(1);
    // As if it were evicted.
    await fleet.find('asleep', 1)?.close();
    await test.until('asleep', 1, 'gone');
    expect(fleet.recent.of('asleep')).toHaveLength(1);
    deleteModel(test, 'asleep');
    expect(fleet.recent.of('asleep')).toEqual([]);
  });
});
