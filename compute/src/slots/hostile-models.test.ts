import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GraphBuilder, int } from '@hotloop/model/onnx/graph-builder.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { encodeModel } from '@hotloop/model/onnx/model.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { int64Tensor } from '@hotloop/model/onnx/tensor.ts';
import { describe, expect, it } from 'vitest';
import { echoModel, tensorManifest } from '../testing/echo-models.ts';
import { itemMaker } from '../testing/infer-items.ts';
import { featureManifest, modelOf, SMALL, storeVersion } from '../testing/model-bundles.ts';
import { startTestCompute } from '../testing/start-test-compute.ts';

const MUTANTS = 3_000;
const SEED = 7;

describe('corrupt and hostile models', () => {
  it(`serves none of ${MUTANTS} copies of a good model with a byte flipped: each digest check fails before the runtime sees the file`, async () => {
    await using test = await startTestCompute();
    const onnx = perceptron(SMALL);
    const record = await storeVersion(test.store, 1, featureManifest('tiny', 4), onnx);
    const path = join(test.folder, 'store', record.bundleSha256, 'model.onnx');
    const random = new SeededRandom(SEED);
    let sound = 0;
    for (let mutant = 0; mutant < MUTANTS; mutant++) {
      const at = random.integer(onnx.length);
      const flipped = Uint8Array.from(onnx);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << random.integer(8));
      if (isSound(flipped)) sound++;
      await writeFile(path, flipped);
      await expect(test.store.get(record.bundleSha256)).rejects.toMatchObject({ code: 'DATA_LOSS' });
    }
    // Without the digest check, many of them would load.
    expect(sound).toBeGreaterThan(MUTANTS / 10);
    test.registry.set(modelOf([record], { live: 1 }));
    test.registry.publish();
    await test.until('tiny', 1, 'failed');
    expect(test.compute.fleet.find('tiny', 1)?.detail).toMatch(/digest/);
    expect(test.compute.fleet.find('tiny', 1)?.runnerPids).toEqual([]);
    // With the right content, it is served as soon as it is wanted again.
    await writeFile(path, onnx);
    test.registry.set(modelOf([record], {}));
    test.registry.publish();
    await test.until('tiny', 1, 'gone');
    test.registry.set(modelOf([record], { live: 1 }));
    test.registry.publish();
    await test.until('tiny', 1, 'ready');
  });

  it('rejects custom operators, and operators that the runtime does not know, with the reason', async () => {
    await using test = await startTestCompute();
    const foreign = graphWith('Secret', 'com.example');
    const unknown = graphWith('NoSuchOperator', '');
    const records = [
      await storeVersion(test.store, 1, tensorManifest('odd'), foreign),
      await storeVersion(test.store, 2, tensorManifest('odd'), unknown),
    ];
    test.registry.set(modelOf(records, { live: 1, target: 2 }));
    test.registry.publish();
    await Promise.all([test.until('odd', 1, 'failed'), test.until('odd', 2, 'failed')]);
    expect(test.compute.fleet.find('odd', 1)?.detail).toMatch(/com\.example/);
    expect(test.compute.fleet.find('odd', 2)?.detail).toMatch(/runtime cannot load.*NoSuchOperator/);
    for (const version of [1, 2])
      expect(test.compute.fleet.find('odd', version)?.detail).not.toMatch(/\/|stack/);
  });

  it('passes on what the runtime says about a model, without the place in its sources', async () => {
    await using test = await startTestCompute();
    const graph = new GraphBuilder();
    graph.input('x', 'float32', ['N']);
    graph.node('Identity', ['x'], {}, { name: 'it', outputs: ['y'] });
    graph.output('y', 'float32', ['N']);
    const onnx = encodeModel(graph.build('early', { opset: 99 }));
    const record = await storeVersion(test.store, 1, tensorManifest('early'), onnx);
    test.registry.set(modelOf([record], { live: 1 }));
    test.registry.publish();
    await test.until('early', 1, 'failed');
    const detail = test.compute.fleet.find('early', 1)?.detail ?? '';
    expect(detail).toMatch(/^the runtime cannot load the model: .*Opset 99/);
    expect(detail).not.toMatch(/[/\\]|::|\.(?:h|cc)\b/);
  });

  it('fails a run that allocates more memory than allowed inside its runner, which continues', async () => {
    await using test = await startTestCompute({ fleet: { memoryBudgetBytes: 1024 ** 3 } });
    const onnx = greedyModel(16 * 1024 ** 3);
    const record = await storeVersion(test.store, 1, featureManifest('greedy', 2), onnx);
    test.registry.set(modelOf([record], { live: 1 }));
    test.registry.publish();
    await test.until('greedy', 1, 'ready');
    const pids = test.compute.fleet.find('greedy', 1)?.runnerPids;
    const item = itemMaker();
    await expect(test.compute.port.infer(item('greedy', 1, [[1, 2]]))).rejects.toMatchObject({
      code: 'INTERNAL',
      reason: 'run_failed',
    });
    expect(test.compute.fleet.find('greedy', 1)?.runnerPids).toEqual(pids);
  });

  it('rejects a provider that this machine does not have, instead of falling back', async () => {
    await using test = await startTestCompute();
    const manifest = tensorManifest('fast', 'runtime: {execution_providers: [cuda]}\n');
    const record = await storeVersion(
      test.store,
      1,
      manifest,
      echoModel([{ name: 'x', elementType: 'float32', shape: ['N'] }]),
    );
    test.registry.set(modelOf([record], { live: 1 }));
    test.registry.publish();
    await test.until('fast', 1, 'failed');
    expect(test.compute.fleet.find('fast', 1)?.detail).toMatch(/cuda/i);
  });

  it("runs models without providers on the node's providers, and others on their own", async () => {
    await using test = await startTestCompute({ fleet: { executionProviders: ['cuda'] } });
    const onnx = echoModel([{ name: 'x', elementType: 'float32', shape: ['N'] }]);
    const runtime = 'runtime: {execution_providers: [cpu]}\n';
    const silent = await storeVersion(test.store, 1, tensorManifest('silent'), onnx);
    const choosing = await storeVersion(test.store, 1, tensorManifest('choosing', runtime), onnx);
    for (const record of [silent, choosing]) test.registry.set(modelOf([record], { live: 1 }));
    test.registry.publish();
    await Promise.all([test.until('silent', 1, 'failed'), test.until('choosing', 1, 'ready')]);
    expect(test.compute.fleet.find('silent', 1)?.detail).toMatch(/cuda/i);
  });
});

function isSound(bytes: Uint8Array): boolean {
  try {
    inspectModel(bytes);
    return true;
  } catch {
    return false;
  }
}

function graphWith(operator: string, domain: string): Uint8Array {
  const graph = new GraphBuilder();
  graph.input('x', 'float32', ['N']);
  graph.node(operator, ['x'], {}, { name: 'it', outputs: ['y'], domain });
  graph.output('y', 'float32', ['N']);
  const opset = new Map(
    domain === ''
      ? [['', 17]]
      : [
          ['', 17],
          [domain, 1],
        ],
  );
  return encodeModel(graph.build('odd', { opset }));
}

/** Takes two columns and allocates an intermediate tensor of the given number of bytes. */
function greedyModel(bytes: number): Uint8Array {
  const graph = new GraphBuilder();
  const input = graph.input('x', 'float32', ['N', 2]);
  const shape = graph.initializer('shape', int64Tensor([bytes / 4]));
  const large = graph.node('ConstantOfShape', [shape]);
  const axes = graph.initializer('axes', int64Tensor([0]));
  const sum = graph.node('ReduceSum', [large, axes], { keepdims: int(0) });
  graph.node('Add', [input, sum], {}, { name: 'add', outputs: ['y'] });
  graph.output('y', 'float32', ['N', 2]);
  return encodeModel(graph.build('greedy'));
}
