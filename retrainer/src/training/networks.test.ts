import { readFile } from 'node:fs/promises';
import { decodeModel } from '@hotloop/model/onnx/model.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import type { TrainingSettings } from '@hotloop/model/training/training-settings.ts';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { train } from './train.ts';
import type { TrainingDataset } from './training-dataset.ts';

const settings: TrainingSettings = {
  loss: 'binary_cross_entropy',
  optimizer: { kind: 'adam' },
  learningRate: 0.02,
  trainable: 'all',
  epochs: 20,
  batch: 32,
  seed: 7,
  validationFraction: 0.2,
};

const read = async (name: string) =>
  new Uint8Array(await readFile(new URL(`./testing/networks/${name}.onnx`, import.meta.url)));

/** Rows of standard normal columns; the label says which of two or three fixed directions a row follows most. */
function dataset(columns: number, classes: number): TrainingDataset {
  const random = new SeededRandom(5);
  const rows = 320;
  const directions = Array.from({ length: classes }, () =>
    Float32Array.from({ length: columns }, () => random.normal()),
  );
  const features = Float32Array.from({ length: rows * columns }, () => random.normal());
  const labels = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const label = random.integer(classes);
    labels[row] = label;
    for (let i = 0; i < columns; i++) features[row * columns + i]! += directions[label]![i]!;
  }
  return { rows, columns, features, labels, weights: new Float32Array(rows).fill(1) };
}

/** Networks as PyTorch and scikit-learn export them; `testing/networks/make-networks.py` wrote them. */
const networks = [
  { name: 'perceptron', columns: 4, classes: 2 },
  { name: 'cnn', columns: 64, classes: 3, loss: 'cross_entropy' },
  { name: 'lstm', columns: 15, classes: 2 },
  { name: 'encoder', columns: 15, classes: 2 },
  { name: 'sklearn-mlp', columns: 4, classes: 2, loss: 'cross_entropy', output: 'probabilities' },
  { name: 'sklearn-pipeline', columns: 4, classes: 2, output: 'probabilities' },
] as const;

describe('a network exported by PyTorch or scikit-learn', () => {
  it.each(networks)('is fine-tuned: $name', async (network) => {
    const bytes = await read(network.name);
    const { modelBytes, metrics } = await train(bytes, dataset(network.columns, network.classes), {
      ...settings,
      ...('loss' in network ? { loss: network.loss } : {}),
      ...('output' in network ? { output: network.output } : {}),
    });
    expect(metrics.validationLoss!).toBeLessThan(0.7 * metrics.validationLossBefore!);
    const [before, after] = [decodeModel(bytes).graph, decodeModel(modelBytes).graph];
    expect(after.nodes).toEqual(before.nodes);
    await (await ort.InferenceSession.create(modelBytes)).release();
  });
});
