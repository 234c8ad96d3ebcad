import { decodeModel } from '@hotloop/model/onnx/model.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import type { Optimizer, TrainingSettings } from '@hotloop/model/training/training-settings.ts';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { allCells } from './feature-cells.ts';
import { initialModel } from './initial-model.ts';
import { multiclassAccuracy, rmse, rocAuc } from './metrics.ts';
import { type TrainingProgress, train } from './train.ts';
import type { TrainingDataset } from './training-dataset.ts';
import { trainingNames, writeTrainingGraph } from './write-training-graph.ts';

const columns = 4;

/** Rows of standard normal features with labels by the given rule. */
function dataset(rows: number, seed: number, label: (x: Float32Array) => number): TrainingDataset {
  const random = new SeededRandom(seed);
  const features = Float32Array.from({ length: rows * columns }, () => random.normal());
  const labels = Float32Array.from({ length: rows }, (_, i) =>
    label(features.subarray(i * columns, (i + 1) * columns)),
  );
  return { rows, columns, features, labels, weights: new Float32Array(rows).fill(1) };
}

/** Not linear: a perceptron must bend for it. */
const isInside = (x: Float32Array) => (x[0]! * x[1]! + 0.5 * x[2]! > 0 ? 1 : 0);

const settings: TrainingSettings = {
  loss: 'binary_cross_entropy',
  optimizer: { kind: 'adam' },
  learningRate: 0.01,
  trainable: 'all',
  epochs: 10,
  batch: 32,
  seed: 7,
  validationFraction: 0.2,
};

const binaryModel = () => initialModel({ features: columns, task: 'binary', hidden: [16, 8], seed: 3 });

async function predict(modelBytes: Uint8Array, data: TrainingDataset): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(modelBytes, { intraOpNumThreads: 1 });
  try {
    const input = new ort.Tensor('float32', allCells(data), [data.rows, data.columns]);
    const results = await session.run({ input });
    return results[session.outputNames[0]!]!.data as Float32Array;
  } finally {
    await session.release();
  }
}

describe('train', () => {
  it('learns a non-linear function, and writes a file that predicts it', async () => {
    const before = await predict(binaryModel(), dataset(500, 2, isInside));
    const { modelBytes, metrics } = await train(binaryModel(), dataset(1500, 1, isInside), {
      ...settings,
      epochs: 30,
    });
    const held = dataset(500, 2, isInside);
    expect(rocAuc(before, held.labels)).toBeLessThan(0.8);
    expect(rocAuc(await predict(modelBytes, held), held.labels)).toBeGreaterThan(0.95);
    expect(metrics.validationLoss!).toBeLessThan(metrics.validationLossBefore! / 2);
    expect(metrics).toMatchObject({ examples: 1200, validationExamples: 300 });
  });

  it('learns classes', async () => {
    const label = (x: Float32Array) => (x[0]! > 0.5 ? 2 : x[1]! > 0 ? 1 : 0);
    const model = initialModel({ features: columns, task: 'multiclass', classes: 3, seed: 1 });
    const { modelBytes } = await train(model, dataset(1200, 1, label), {
      ...settings,
      loss: 'cross_entropy',
    });
    const held = dataset(400, 2, label);
    expect(multiclassAccuracy(await predict(modelBytes, held), held.labels, 3)).toBeGreaterThan(0.9);
  });

  it('learns numbers', async () => {
    const label = (x: Float32Array) => 2 * x[0]! - x[1]! + Math.abs(x[2]!);
    const model = initialModel({ features: columns, task: 'regression', seed: 1 });
    const wanted = { ...settings, loss: 'mean_squared_error', epochs: 40 } as const;
    const { modelBytes } = await train(model, dataset(1200, 1, label), wanted);
    const held = dataset(400, 2, label);
    expect(rmse(await predict(modelBytes, held), held.labels)).toBeLessThan(0.3);
  });

  it('gives the same bytes for the same seed and data, and others for another seed', async () => {
    const run = async (seed: number) => {
      const { modelBytes } = await train(binaryModel(), dataset(200, 1, isInside), {
        ...settings,
        seed,
        epochs: 3,
      });
      return Buffer.from(modelBytes);
    };
    expect((await run(1)).equals(await run(1))).toBe(true);
    expect((await run(1)).equals(await run(2))).toBe(false);
  });

  it('changes only the selected weights', async () => {
    const data = dataset(200, 1, isInside);
    const { modelBytes } = await train(binaryModel(), data, {
      ...settings,
      trainable: { last: 1 },
      epochs: 2,
    });
    const [before, after] = [decodeModel(binaryModel()).graph, decodeModel(modelBytes).graph];
    const changed = [...before.initializers.keys()].filter(
      (name) => String(before.initializers.get(name)!.data) !== String(after.initializers.get(name)!.data),
    );
    expect(changed).toEqual(['weight_3', 'bias_3']);
    expect(after.nodes).toEqual(before.nodes);
  });

  it('keeps the best epoch and stops when patience is exhausted', async () => {
    // Labels without any rule: the validation loss can only rise once the network learns them by heart.
    const random = new SeededRandom(4);
    const noise = dataset(120, 1, () => random.integer(2));
    const wanted = { ...settings, epochs: 200, patience: 4, learningRate: 0.02, validationFraction: 0.3 };
    const { metrics } = await train(binaryModel(), noise, wanted);
    expect(metrics.epochs).toBe(metrics.bestEpoch + 4);
    expect(metrics.validationLoss!).toBeLessThanOrEqual(metrics.validationLossBefore!);
  });

  it('keeps the weights it was given when no epoch is better', async () => {
    const random = new SeededRandom(4);
    const noise = dataset(60, 1, () => random.integer(2));
    const wanted = { ...settings, epochs: 3, learningRate: 5, validationFraction: 0.5 };
    const { modelBytes, metrics } = await train(binaryModel(), noise, wanted);
    expect(metrics.bestEpoch).toBe(0);
    expect(await predict(modelBytes, noise)).toEqual(await predict(binaryModel(), noise));
  });

  it('ignores examples of weight 0', async () => {
    const half = dataset(200, 1, isInside);
    half.weights.fill(0, 0, 100);
    const { metrics } = await train(binaryModel(), half, { ...settings, epochs: 1, validationFraction: 0 });
    expect(metrics).toMatchObject({ examples: 100, validationExamples: 0, validationLoss: null });
  });

  it('reports its progress', async () => {
    const seen: TrainingProgress[] = [];
    const onProgress = (progress: TrainingProgress) => seen.push(progress);
    await train(binaryModel(), dataset(200, 1, isInside), { ...settings, epochs: 2 }, { onProgress });
    expect(seen.map(({ epoch, step }) => [epoch, step])).toEqual([
      [1, 5],
      [2, 10],
    ]);
    expect(seen[1]!.loss).toBeLessThan(seen[0]!.loss);
  });

  it('stops with a clear error when the loss is no longer a number', async () => {
    const model = perceptron({
      inputs: columns,
      hidden: [],
      outputs: 1,
      activation: 'relu',
      head: 'none',
      seed: 1,
    });
    const wild = {
      ...settings,
      loss: 'mean_squared_error',
      optimizer: { kind: 'sgd' },
      learningRate: 1e6,
    } as const;
    const training = train(model, dataset(200, 1, isInside), { ...wild, epochs: 50 });
    await expect(training).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'training_diverged',
    });
  });

  it('stops when its signal fires', async () => {
    const control = new AbortController();
    const hooks = { signal: control.signal, onProgress: () => control.abort() };
    const training = train(binaryModel(), dataset(200, 1, isInside), { ...settings, epochs: 1000 }, hooks);
    await expect(training).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it.each<[string, Partial<TrainingDataset>, string]>([
    [
      'a column too many',
      { columns: 5, features: new Float32Array(5), rows: 1 },
      "the dataset has 5 columns for input 'input'; the model takes input float32[N, 4]",
    ],
    ['a label outside the loss', { labels: Float32Array.of(0, 2, 1) }, 'row 1 has label 2'],
    [
      'a feature that is no number',
      { features: new Float32Array(12).fill(Number.NaN, 6, 7) },
      'row 1, column 2 is NaN',
    ],
    ['a negative weight', { weights: Float32Array.of(1, 1, -1) }, 'row 2 has weight -1'],
    ['no example', { weights: new Float32Array(3) }, 'no example of weight above 0'],
  ])('refuses a dataset with %s', async (_title, wrong, message) => {
    const data = { ...dataset(3, 1, () => 1), ...wrong };
    const refusal = { code: 'INVALID_ARGUMENT', message: expect.stringContaining(message) };
    await expect(train(binaryModel(), data, settings)).rejects.toMatchObject(refusal);
  });
});

describe('an update', () => {
  const rows = 6;

  /** Runs steps of a float64 training graph. @returns the parameters after each, and the gradients they used. */
  async function updates(optimizer: Optimizer, learningRate: number, steps: number) {
    const model = decodeModel(binaryModel());
    const common = { loss: 'binary_cross_entropy', floatType: 'float64' } as const;
    const step = writeTrainingGraph(model, { ...common, until: optimizer });
    const gradient = writeTrainingGraph(model, { ...common, until: 'gradient' });
    const stepSession = await ort.InferenceSession.create(step.bytes);
    const gradientSession = await ort.InferenceSession.create(gradient.bytes);
    const data = dataset(rows, 9, isInside);
    const vector = (values: ArrayLike<number>) =>
      new ort.Tensor('float64', Float64Array.from(values), [values.length]);
    const batch = {
      input: new ort.Tensor('float64', Float64Array.from(allCells(data)), [rows, columns]),
      [trainingNames.labels]: vector(data.labels),
      [trainingNames.weights]: vector(data.weights),
    };
    const size = step.initial.length;
    let [parameters, first, second] = [
      vector(step.initial),
      vector(new Float64Array(size)),
      vector(new Float64Array(size)),
    ];
    const seen: { parameters: Float64Array; gradient: Float64Array }[] = [];
    for (let i = 1; i <= steps; i++) {
      const shared = { ...batch, [trainingNames.parameters]: parameters };
      const slopes = await gradientSession.run(shared);
      const results = await stepSession.run({
        ...shared,
        [trainingNames.firstMoment]: first,
        [trainingNames.secondMoment]: second,
        [trainingNames.step]: new ort.Tensor('float64', Float64Array.of(i), []),
        [trainingNames.learningRate]: new ort.Tensor('float64', Float64Array.of(learningRate), []),
      });
      parameters = results[trainingNames.newParameters] as typeof parameters;
      first = results[trainingNames.newFirstMoment] as typeof first;
      second = results[trainingNames.newSecondMoment] as typeof second;
      const slope = slopes[trainingNames.gradient]!.data as Float64Array;
      seen.push({ parameters: parameters.data as Float64Array, gradient: slope });
    }
    await stepSession.release();
    await gradientSession.release();
    return { initial: Float64Array.from(step.initial), layout: step.parameters, seen };
  }

  it('of Adam with decay equals the one computed by hand in float64', async () => {
    const [rate, beta1, beta2, epsilon, weightDecay] = [0.01, 0.85, 0.99, 1e-7, 0.1];
    const run = await updates({ kind: 'adam', beta1, beta2, epsilon, weightDecay }, rate, 12);
    const expected = run.initial.slice();
    const decays = expected.map((_, i) => {
      return run.layout.some(
        ({ dims, offset, length }) => dims.length > 1 && i >= offset && i < offset + length,
      )
        ? 1
        : 0;
    });
    const [m, v] = [new Float64Array(expected.length), new Float64Array(expected.length)];
    for (const [index, { parameters, gradient }] of run.seen.entries()) {
      const t = index + 1;
      for (const [i, g] of gradient.entries()) {
        m[i] = beta1 * m[i]! + (1 - beta1) * g;
        v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
        const [mean, deviation] = [m[i]! / (1 - beta1 ** t), Math.sqrt(v[i]! / (1 - beta2 ** t))];
        expected[i]! -= rate * (mean / (deviation + epsilon) + weightDecay * decays[i]! * expected[i]!);
        expect(Math.abs(parameters[i]! - expected[i]!)).toBeLessThan(1e-12);
      }
    }
  });

  it('of gradient descent goes down the gradient', async () => {
    const { initial, seen } = await updates({ kind: 'sgd' }, 0.5, 1);
    const expected = initial.map((value, i) => value - 0.5 * seen[0]!.gradient[i]!);
    expect(seen[0]!.parameters).toEqual(expected);
  });
});
