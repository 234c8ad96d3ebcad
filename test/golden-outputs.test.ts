import { featureManifest, modelOf, storeVersion } from '@hotloop/compute/testing/model-bundles.ts';
import { startTestCompute } from '@hotloop/compute/testing/start-test-compute.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { replaceGolden } from '@hotloop/model/manifest/replace-golden.ts';
import { decodeModel } from '@hotloop/model/onnx/model.ts';
import { replaceInitializers } from '@hotloop/model/onnx/replace-initializers.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { trainingSettings } from '@hotloop/model/training/training-settings.ts';
import { goldenExamples } from '@hotloop/retrainer/improve/golden-examples.ts';
import { scoreInProcess } from '@hotloop/retrainer/training/evaluator-process.ts';
import { initialModel } from '@hotloop/retrainer/training/initial-model.ts';
import { trainInProcess } from '@hotloop/retrainer/training/trainer-process.ts';
import { describe, expect, it } from 'vitest';

const COLUMNS = 4;
const YAML = featureManifest('tiny', COLUMNS, 'training: {epochs: 5, batch: 64}\n');

/** Rows of standard normal features; the label is whether the first two agree. */
function examples(rows: number, seed: number) {
  const random = new SeededRandom(seed);
  const features = Float32Array.from({ length: rows * COLUMNS }, () => random.normal());
  const agree = (row: number) => features[row * COLUMNS]! * features[row * COLUMNS + 1]! > 0;
  const labels = Float32Array.from({ length: rows }, (_, row) => Number(agree(row)));
  const weights = new Float32Array(rows).fill(1);
  return { rows, columns: COLUMNS, features, labels, weights, groups: new Uint32Array(rows) };
}

/** The same file with one number of one weight turned round, where the model is sound all the same. */
function damaged(onnx: Uint8Array, weight: string): Uint8Array {
  const tensor = decodeModel(onnx).graph.initializers.get(weight)!;
  const data = Float32Array.from(tensor.data as Float32Array);
  const largest = data.reduce(
    (best, value, index) => (Math.abs(value) > Math.abs(data[best]!) ? index : best),
    0,
  );
  data[largest] = -data[largest]!;
  return replaceInitializers(onnx, new Map([[weight, { ...tensor, data }]]));
}

describe('a version that was trained here', () => {
  it('is served as trained, and refused after its weights were damaged', async () => {
    await using test = await startTestCompute();
    const limits = { timeoutMs: 60_000 };
    const manifest = parseManifest(YAML);
    const begun = initialModel({ features: COLUMNS, task: 'binary', hidden: [8] });
    const settings = trainingSettings(manifest);
    const { modelBytes } = await trainInProcess(
      { modelBytes: begun, dataset: examples(600, 1), settings },
      limits,
    );
    const trainer = { train: trainInProcess, score: scoreInProcess };
    const golden = await goldenExamples(manifest, modelBytes, examples(200, 2), trainer, limits);
    const yaml = replaceGolden(YAML, golden);

    const bundles = [modelBytes, damaged(modelBytes, 'weight_1'), damaged(modelBytes, 'weight_2'), begun];
    const versions = await Promise.all(
      bundles.map((onnx, index) => storeVersion(test.store, index + 1, yaml, onnx)),
    );
    test.registry.set(modelOf(versions, { live: 1 }));
    test.registry.publish();
    await test.until('tiny', 1, 'ready');
    for (const target of [2, 3, 4]) {
      test.registry.set(modelOf(versions, { live: 1, target }));
      test.registry.publish();
      await test.until('tiny', target, 'failed');
      const slot = test.compute.fleet.find('tiny', target);
      expect(slot?.reason).toBe('golden_mismatch');
      expect(slot?.detail).toMatch(
        /^golden\.examples\.0: output 'score' gave .* in row \d, expected .*of 8 values differ/,
      );
    }
    expect(test.compute.fleet.find('tiny', 1)?.state).toBe('ready');
  });
});
