import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { remoteInterfaceFile } from '@hotloop/model/onnx/remote-interface.ts';
import { openRemoteModel } from '@hotloop/platform/grpc/remote-model.ts';
import { expect, it } from 'vitest';
import { floatsOf, itemMaker } from './testing/infer-items.ts';
import { featureManifest, modelOf, SMALL, storeVersion } from './testing/model-bundles.ts';
import { startTestCompute, type TestCompute } from './testing/start-test-compute.ts';

/** Registers on `near` a version of the model that the server `far` runs. */
async function remoteVersion(near: TestCompute, version: number, far: TestCompute) {
  const url = `grpc://${far.compute.address}`;
  using remote = openRemoteModel({ url, model: 'far', version: '' });
  const { inputs, outputs } = await remote.metadata(10_000);
  const manifest = featureManifest('near', 4, `runtime: {remote: "${url}", model: far, max_batch: 64}\n`);
  return storeVersion(near.store, version, manifest, remoteInterfaceFile(inputs, outputs));
}

async function startFar(listen = '127.0.0.1:0', seed = 5): Promise<TestCompute> {
  const far = await startTestCompute({ listen });
  const record = await storeVersion(far.store, 1, featureManifest('far', 4), perceptron({ ...SMALL, seed }));
  far.registry.set(modelOf([record], { live: 1 }));
  far.registry.publish();
  await far.until('far', 1, 'ready');
  return far;
}

it('serves a model that another server runs: same answers, one log row each, readiness follows the health of the server', async () => {
  await using near = await startTestCompute();
  let address = '';
  const item = itemMaker();
  let expected: number[] = [];
  const rows = [[0.1, 1, -1, 0.5]];
  {
    await using far = await startFar();
    address = far.compute.address;
    const version = await remoteVersion(near, 1, far);
    near.registry.set(modelOf([version], { live: 1 }));
    near.registry.publish();
    await near.until('near', 1, 'ready');
    expect(near.compute.fleet.find('near', 1)?.runnerPids).toEqual([]);
    const direct = await far.compute.port.infer(item('far', 1, rows));
    expected = [...floatsOf(direct.outputs[0]?.contents ?? new Uint8Array())];
    // How many requests wait together depends on the machine, so repeat until some have shared a run.
    let sent = 0;
    const largest = () => Math.max(...(near.compute.fleet.find('near', 1)?.statistics.runs.keys() ?? []));
    for (let round = 0; round < 50 && !(largest() > 1); round++) {
      const items = Array.from({ length: 100 }, () => item('near', 1, rows));
      sent += items.length;
      const answers = await Promise.all(items.map((one) => near.compute.port.infer(one)));
      for (const { outputs } of answers)
        expect([...floatsOf(outputs[0]?.contents ?? new Uint8Array())]).toEqual([
          expect.closeTo(expected[0] ?? 0, 6),
        ]);
    }
    expect(largest()).toBeGreaterThan(1);
    await refusesAnotherInterface(near, far);
    await near.compute.flushLog(10_000);
    const logged = await near.pool.query('SELECT count(*)::int AS n FROM prediction WHERE model = $1', [
      'near',
    ]);
    expect(logged.rows[0]?.n).toBe(sent);
  }
  await near.until('near', 1, 'failed');
  await expect(near.compute.port.infer(item('near', 1, rows, { timeoutMs: 300 }))).rejects.toMatchObject({
    code: expect.stringMatching(/UNAVAILABLE|DEADLINE_EXCEEDED/),
  });
  await using again = await startFar(address);
  expect(again.compute.address).toBe(address);
  await near.until('near', 1, 'ready');
  const { outputs } = await near.compute.port.infer(item('near', 1, rows));
  expect(floatsOf(outputs[0]?.contents ?? new Uint8Array())[0]).toBeCloseTo(expected[0] ?? 0, 6);
});

/** A version whose registered interface differs from the server's does not become ready, and says why. */
async function refusesAnotherInterface(near: TestCompute, far: TestCompute): Promise<void> {
  const url = `grpc://${far.compute.address}`;
  const other = [{ name: 'input', datatype: 'FP32', shape: [-1, 4] }];
  const file = remoteInterfaceFile(other, [{ name: 'another', datatype: 'FP32', shape: [-1, 1] }]);
  const manifest = featureManifest('other', 4, `runtime: {remote: "${url}", model: far}\n`);
  near.registry.set(modelOf([await storeVersion(near.store, 1, manifest, file)], { live: 1 }));
  near.registry.publish();
  await near.until('other', 1, 'failed');
  expect(near.compute.fleet.find('other', 1)?.detail).toMatch(/inputs or outputs of model far have changed/);
}
