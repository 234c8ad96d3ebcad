import { GraphBuilder } from '@hotloop/model/onnx/graph-builder.ts';
import { decodeModel } from '@hotloop/model/onnx/model.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { float32Tensor } from '@hotloop/model/onnx/tensor.ts';
import type { LossSpec, TrainingSettings } from '@hotloop/model/training/training-settings.ts';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts';
import { initialModel } from './initial-model.ts';
import { learningRateAt } from './learning-rate.ts';
import { rmse, rocAuc } from './metrics.ts';
import { scoreModel } from './score-model.ts';
import { train } from './train.ts';
import type { TrainingDataset } from './training-dataset.ts';
import { trainingNames, writeTrainingGraph } from './write-training-graph.ts';

const settings: TrainingSettings = {
  loss: 'mean_squared_error',
  optimizer: { kind: 'adam' },
  learningRate: 0.01,
  trainable: 'all',
  epochs: 20,
  batch: 32,
  seed: 7,
  validationFraction: 0.1,
};

/** Houses: area in square metres, year, a flag; the price in euros. */
function houses(rows: number, seed: number): TrainingDataset {
  const random = new SeededRandom(seed);
  const features = new Float32Array(rows * 3);
  const labels = new Float32Array(rows);
  for (let i = 0; i < rows; i++) {
    const [area, year, isNew] = [150 + 60 * random.normal(), 1980 + 20 * random.normal(), random.integer(2)];
    features.set([area, year, isNew], 3 * i);
    labels[i] = 250_000 + 2_000 * (area - 150) + 800 * (year - 1980) + 30_000 * isNew;
  }
  return { rows, columns: 3, features, labels, weights: new Float32Array(rows).fill(1) };
}

const priceModel = () => initialModel({ features: 3, task: 'regression', hidden: [16], seed: 3 });

async function rmseOf(modelBytes: Uint8Array, data: TrainingDataset) {
  return rmse((await scoreModel(modelBytes, data, undefined)).values, data.labels);
}

describe('a regression in natural units', () => {
  it('learns prices from areas and years with the default learning rates', async () => {
    const held = houses(300, 2);
    const { modelBytes, metrics } = await train(priceModel(), houses(1500, 1), settings);
    // The labels' own deviation is about 122,000.
    expect(await rmseOf(modelBytes, held)).toBeLessThan(5_000);
    expect(Math.sqrt(metrics.validationLoss!)).toBeLessThan(5_000);
    expect(Math.sqrt(metrics.validationLossBefore!)).toBeGreaterThan(50_000);

    const again = await train(modelBytes, houses(500, 3), { ...settings, epochs: 1, learningRate: 1e-4 });
    expect(Math.sqrt(again.metrics.validationLossBefore!)).toBeLessThan(5_000);
    expect(await rmseOf(again.modelBytes, held)).toBeLessThan(5_000);
  });

  it.each<[string, LossSpec]>([
    ['mean_absolute_error', { name: 'mean_absolute_error' }],
    ['huber', { name: 'huber', delta: 20_000 }],
    ['quantile', { name: 'quantile', quantile: 0.9 }],
  ])('learns them by %s too', async (_title, loss) => {
    const held = houses(300, 2);
    const { modelBytes } = await train(priceModel(), houses(1000, 1), { ...settings, loss });
    expect(await rmseOf(modelBytes, held)).toBeLessThan(25_000);
  });
});

describe('an update', () => {
  const weights = [1, -2, 3];

  /** Minimizes the squared error of `w` from zeros, w being all there is. @returns the weights after each step. */
  async function path(
    options: Partial<Parameters<typeof writeTrainingGraph>[1]>,
    steps: number,
    rate: number,
  ) {
    const graph = new GraphBuilder('m/');
    const w = graph.initializer('w', float32Tensor(weights));
    graph.node('Identity', [w], {}, { outputs: ['out'] });
    graph.output('out', 'float32', [3]);
    const written = writeTrainingGraph(graph.build('m'), {
      loss: 'mean_squared_error',
      floatType: 'float64',
      until: { kind: 'sgd' },
      ...options,
    });
    const session = await ort.InferenceSession.create(written.bytes);
    const vector = (values: ArrayLike<number>) =>
      new ort.Tensor('float64', Float64Array.from(values), [values.length]);
    let [parameters, first] = [vector(written.initial), vector([0, 0, 0])];
    const seen: number[][] = [];
    for (let step = 1; step <= steps; step++) {
      const results = await session.run({
        [trainingNames.labels]: vector([0, 0, 0]),
        [trainingNames.weights]: vector([1, 1, 1]),
        [trainingNames.parameters]: parameters,
        [trainingNames.firstMoment]: first,
        [trainingNames.secondMoment]: vector([0, 0, 0]),
        [trainingNames.step]: new ort.Tensor('float64', Float64Array.of(step), []),
        [trainingNames.learningRate]: new ort.Tensor('float64', Float64Array.of(rate), []),
      });
      parameters = results[trainingNames.newParameters] as typeof parameters;
      first = results[trainingNames.newFirstMoment] as typeof first;
      seen.push([...(parameters.data as Float64Array)]);
    }
    await session.release();
    return seen;
  }

  it('with momentum equals the one computed by hand', async () => {
    const seen = await path({ until: { kind: 'sgd', momentum: 0.9 } }, 3, 0.1);
    let [p, m] = [weights.slice(), [0, 0, 0]];
    for (const found of seen) {
      m = m.map((each, i) => 0.9 * each + (2 * p[i]!) / 3);
      p = p.map((each, i) => each - 0.1 * m[i]!);
      for (const [i, value] of p.entries()) expect(found[i]).toBeCloseTo(value, 12);
    }
  });

  it('is limited by the clipped gradient', async () => {
    const [found] = await path({ clipNorm: 0.5 }, 1, 1);
    expect(Math.hypot(...found!.map((value, i) => value - weights[i]!))).toBeCloseTo(0.5, 12);
  });

  it('is pulled back to the initial weights', async () => {
    const free = (await path({}, 200, 0.1)).at(-1)!;
    const held = (await path({ parentPenalty: 2 / 3 }, 200, 0.1)).at(-1)!;
    expect(Math.hypot(...free)).toBeLessThan(1e-5);
    // Half of the pull goes to 0, half to the parent.
    for (const [i, value] of held.entries()) expect(value).toBeCloseTo(weights[i]! / 2, 9);
  });
});

describe('the learning rate', () => {
  it('rises during the warm-up, then falls along a cosine or a line', () => {
    const rates = (kind: 'linear' | 'cosine') =>
      [1, 2, 3, 7, 11, 12].map((step) => learningRateAt(1, { kind, warmup: 2 }, step, 12));
    expect(rates('linear')).toEqual([1 / 3, 2 / 3, 1, 0.6, expect.closeTo(0.2), expect.closeTo(0.1)]);
    expect(rates('cosine')[2]).toBe(1);
    expect(rates('cosine').at(-1)).toBeLessThan(0.05);
  });
});

describe('a loss that ranks', () => {
  /** Groups of 5 items; the best by a hidden rule was chosen. A level that all items of a group share says nothing. */
  function choices(count: number, seed: number): TrainingDataset {
    const random = new SeededRandom(seed);
    const rows = count * 5;
    const features = Float32Array.from({ length: rows * 3 }, () => random.normal());
    const value = (row: number) => features[3 * row]! - 2 * features[3 * row + 1]!;
    const labels = new Float32Array(rows);
    for (let g = 0; g < count; g++) {
      const items = [0, 1, 2, 3, 4].map((i) => 5 * g + i);
      labels[items.toSorted((a, b) => value(b) - value(a))[0]!] = 1;
    }
    const groups = Uint32Array.from({ length: rows }, (_, row) => Math.floor(row / 5));
    return { rows, columns: 3, features, labels, weights: new Float32Array(rows).fill(1), groups };
  }

  it.each(['bpr', 'listwise_softmax'] as const)('learns which item is chosen: %s', async (loss) => {
    const model = initialModel({ features: 3, task: 'ranking', hidden: [8], seed: 1 });
    const { modelBytes } = await train(model, choices(200, 1), { ...settings, loss, epochs: 10 });
    const held = choices(100, 2);
    const { values } = await scoreModel(modelBytes, held, undefined);
    expect(rocAuc(values, held.labels)).toBeGreaterThan(0.87);
  });

  it('needs to know which rows were shown together', async () => {
    const { groups: _groups, ...alone } = choices(10, 1);
    const training = train(initialModel({ features: 3, task: 'ranking' }), alone, {
      ...settings,
      loss: 'bpr',
    });
    await expect(training).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('which rows were shown together'),
    });
  });
});

describe('low-rank adapters', () => {
  it('start as the same model, change its weights only within their rank, and learn', async () => {
    const data = houses(600, 4);
    const model = priceModel();
    const adapters = { rank: 2, weights: 'all' } as const;
    const still = await train(model, data, { ...settings, adapters, epochs: 1, learningRate: 1e-12 });
    const weightsOf = (bytes: Uint8Array) => decodeModel(bytes).graph.initializers;
    const [before, after] = [weightsOf(model), weightsOf(still.modelBytes)];
    expect([...after.keys()]).toEqual([...before.keys()]);
    for (const [name, { data: values }] of before)
      for (const [index, value] of [...(values as Float32Array)].entries())
        expect((after.get(name)!.data as Float32Array)[index]).toBeCloseTo(value, 5);
    const trained = await train(model, data, { ...settings, adapters, loss: 'mean_absolute_error' });
    expect(trained.metrics.validationLoss!).toBeLessThan(trained.metrics.validationLossBefore!);
    const again = await train(model, data, { ...settings, adapters, loss: 'mean_absolute_error' });
    expect(Buffer.compare(again.modelBytes, trained.modelBytes)).toBe(0);
    const biases = [...before].filter(([, { dims }]) => dims.length === 1);
    for (const [name, { data: values }] of biases)
      expect(weightsOf(trained.modelBytes).get(name)!.data).toEqual(values);
    await expect(
      train(model, data, { ...settings, adapters: { rank: 2, weights: ['nope'] } }),
    ).rejects.toThrow("training.adapters names 'nope'");
  });
});

describe('a checkpoint', () => {
  it('lets a training continue to the same bytes as without interruption', async () => {
    const data = houses(300, 6);
    const own = { ...settings, epochs: 6, patience: 3 };
    const kept: Uint8Array[] = [];
    const whole = await train(priceModel(), data, own, {
      checkpointMs: 0,
      onCheckpoint: async (checkpoint) => {
        kept.push(encodeCheckpoint({ ...checkpoint, digest: 'd' }));
      },
    });
    // One after every update: in the middle of the first epoch, between two, and in a later one.
    expect(kept).toHaveLength(whole.metrics.steps);
    const perEpoch = whole.metrics.steps / 6;
    for (const bytes of [kept[1]!, kept[perEpoch - 1]!, kept[3 * perEpoch + 2]!]) {
      const resumed = await train(priceModel(), data, own, { resume: decodeCheckpoint(bytes) });
      expect(Buffer.compare(resumed.modelBytes, whole.modelBytes)).toBe(0);
      expect(resumed.metrics).toEqual(whole.metrics);
    }
    expect(() => decodeCheckpoint(kept[0]!.subarray(0, 50))).toThrow('damaged');
  });
});
