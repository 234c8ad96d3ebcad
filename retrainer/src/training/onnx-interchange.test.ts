import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { float, GraphBuilder, int } from '@hotloop/model/onnx/graph-builder.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { decodeModel, encodeModel } from '@hotloop/model/onnx/model.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { replaceInitializers } from '@hotloop/model/onnx/replace-initializers.ts';
import { float32Tensor } from '@hotloop/model/onnx/tensor.ts';
import type { TrainingSettings } from '@hotloop/model/training/training-settings.ts';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { scoreModel } from './score-model.ts';
import { train } from './train.ts';
import type { TrainingDataset } from './training-dataset.ts';

const model = perceptron({
  inputs: 3,
  hidden: [5],
  outputs: 1,
  activation: 'tanh',
  head: 'sigmoid',
  seed: 4,
});
const rows = 40;
const data: TrainingDataset = {
  rows,
  columns: 3,
  features: Float32Array.from({ length: rows * 3 }, (_, i) => Math.sin(i * 1.7)),
  labels: Float32Array.from({ length: rows }, (_, i) => (Math.sin(i * 5.1) > 0 ? 1 : 0)),
  weights: new Float32Array(rows).fill(1),
};
const settings: TrainingSettings = {
  loss: 'binary_cross_entropy',
  optimizer: { kind: 'adam' },
  learningRate: 0.01,
  trainable: 'all',
  epochs: 20,
  batch: 8,
  seed: 1,
  validationFraction: 0,
};

/** The model as the runtime's own writer writes it. */
async function rewritten(bytes: Uint8Array): Promise<Uint8Array> {
  const directory = await mkdtemp(join(tmpdir(), 'hotloop-test-'));
  try {
    const path = join(directory, 'model.onnx');
    const options = { optimizedModelFilePath: path, graphOptimizationLevel: 'basic' as const };
    await (await ort.InferenceSession.create(bytes, options)).release();
    return await readFile(path);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

describe('a file written by another writer', () => {
  it('has the same weights, and predicts and trains in the same way', async () => {
    const other = await rewritten(model);
    expect(Buffer.from(other).equals(model)).toBe(false);
    expect(inspectModel(other).parameterCount).toBe(inspectModel(model).parameterCount);
    expect(decodeModel(other).graph.initializers).toEqual(decodeModel(model).graph.initializers);
    const trained = await Promise.all([model, other].map((bytes) => train(bytes, data, settings)));
    const [ours, theirs] = await Promise.all(
      trained.map(({ modelBytes }) => scoreModel(modelBytes, data, undefined)),
    );
    expect(theirs).toEqual(ours);
  });

  it('keeps the fields of its writer when weights are replaced', async () => {
    const other = await rewritten(model);
    const same = new Map([['bias_1', decodeModel(model).graph.initializers.get('bias_1')!]]);
    expect(Buffer.from(replaceInitializers(other, same)).length).toBe(other.length);
  });
});

describe('a model that computes partly in float64', () => {
  it('trains through its casts', async () => {
    const graph = new GraphBuilder();
    graph.input('input', 'float32', ['N', 3]);
    graph.initializer('w', float32Tensor([0.1, -0.2, 0.3], [3, 1]));
    graph.initializer('scale', { elementType: 'float64', dims: [], data: Float64Array.of(2) });
    const product = graph.node('Gemm', ['input', 'w'], { alpha: float(1) });
    const wide = graph.node('Mul', [graph.node('Cast', [product], { to: int(11) }), 'scale']);
    graph.node('Sigmoid', [graph.node('Cast', [wide], { to: int(1) })], {}, { outputs: ['score'] });
    graph.output('score', 'float32', ['N', 1]);
    const { metrics } = await train(encodeModel(graph.build('mixed')), data, {
      ...settings,
      validationFraction: 0.3,
    });
    expect(metrics.validationLoss!).toBeLessThanOrEqual(metrics.validationLossBefore!);
    expect(metrics.steps).toBe(20 * 4);
  });
});
