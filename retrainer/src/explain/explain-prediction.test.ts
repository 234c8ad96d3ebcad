import { GraphBuilder, int } from '@hotloop/model/onnx/graph-builder.ts';
import { encodeModel } from '@hotloop/model/onnx/model.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { float32Tensor, int64Tensor } from '@hotloop/model/onnx/tensor.ts';
import { memoryBundleStore } from '@hotloop/platform/registry/memory-bundle-store.ts';
import { describe, expect, it } from 'vitest';
import type { Trainer } from '../improve/trainer.ts';
import type { LoggedPrediction } from '../trace/flat-features.ts';
import { scoreModel } from '../training/score-model.ts';
import { permutationAttributions, walksOf } from './attributions.ts';
import { explainPrediction } from './explain-prediction.ts';
import type { ExplainedRow } from './read-explained-row.ts';

/** Scores in this process rather than in one of its own. */
const trainer: Pick<Trainer, 'score'> = {
  score: ({ models, dataset, output }) =>
    Promise.all(models.map((model) => scoreModel(model, dataset, output))),
};

const MANIFEST = `name: m
task: binary
features:
  - {name: x, from: request.x}
  - {name: color, from: request.color, transform: [{one_hot: [red, green]}]}
  - {name: y, from: request.y}
`;

function random(seed: number, rows: number, columns: number): Float32Array[] {
  const drawn = new SeededRandom(seed);
  return Array.from({ length: rows }, () => Float32Array.from({ length: columns }, () => drawn.normal()));
}

const inputsOf = (row: Float32Array): LoggedPrediction => ({
  ...{ rows: 1, columns: row.length, statuses: Buffer.alloc(3), input_spec: [] },
  features: Buffer.from(row.buffer, row.byteOffset, row.byteLength),
});

async function explained(
  onnx: Uint8Array,
  row: Float32Array,
  background: readonly Float32Array[],
  index = 0,
) {
  return explainedAs(MANIFEST, onnx, inputsOf(row), background.map(inputsOf), index);
}

async function explainedAs(
  manifestYaml: string,
  onnx: Uint8Array,
  inputs: LoggedPrediction,
  background: readonly LoggedPrediction[],
  index = 0,
) {
  const bundles = memoryBundleStore();
  const bundleSha256 = await bundles.put({ manifestYaml, onnx });
  const logged: ExplainedRow = {
    ...{ model: 'm', version: 1, bundleSha256, candidates: [], ...inputs },
    ...{ outputs: null, outputSpec: null, background },
  };
  return explainPrediction(logged, index, { bundles, trainer });
}

describe('an explanation', () => {
  it.each([1, 2, 3, 4, 5])('by integrated gradients adds up to the score (network %i)', async (seed) => {
    const onnx = perceptron({
      ...{ inputs: 4, hidden: [16, 8], outputs: 1, activation: 'relu', head: 'sigmoid', seed },
    });
    const [row = new Float32Array(4), ...background] = random(seed, 20, 4);
    const found = await explained(onnx, row, background);
    expect(found.method).toBe('integrated_gradients');
    const wanted = found.score - found.reference;
    expect(found.features.map(({ name }) => name).toSorted()).toEqual(['color', 'x', 'y']);
    const effects = found.features.map(({ attribution }) => Math.abs(attribution));
    expect(effects).toEqual(effects.toSorted((a, b) => b - a));
    const all = effects.reduce((total, effect) => total + effect, 0);
    expect(Math.abs(found.sum - wanted)).toBeLessThanOrEqual(Math.max(1e-4, 0.01 * all));
    expect(found.gap).toBeCloseTo(found.sum - wanted, 10);
  });

  it('of a linear model gives each feature its weight times its distance from the mean', async () => {
    const graph = new GraphBuilder();
    const input = graph.input('input', 'float32', ['N', 4]);
    const weights = graph.initializer('weights', float32Tensor(Float32Array.of(1, -2, 3, 0.5), [4, 1]));
    graph.node('MatMul', [input, weights], {}, { outputs: ['score'] });
    graph.output('score', 'float32', ['N', 1]);
    const found = await explained(encodeModel(graph.build('linear')), Float32Array.of(2, 1, 0, 10), [
      Float32Array.of(0, 0, 0, 0),
      Float32Array.of(2, 0, 2, 4),
    ]);
    const moved = Object.fromEntries(found.features.map((one) => [one.name, one.attribution]));
    expect(moved.x).toBeCloseTo(1, 5);
    expect(moved.color).toBeCloseTo(-2 - 3, 5);
    expect(moved.y).toBeCloseTo(4, 5);
    expect(found.features.find(({ name }) => name === 'color')?.category).toBe('red');
  });

  it('of step functions, which have no gradient, comes from permutations and adds up exactly', async () => {
    const graph = new GraphBuilder();
    const input = graph.input('input', 'float32', ['N', 4]);
    const zero = graph.initializer('zero', float32Tensor(Float32Array.of(0)));
    const above = graph.node('Cast', [graph.node('Greater', [input, zero])], { to: int(1) });
    const weights = graph.initializer('weights', float32Tensor(Float32Array.of(4, 0, 0, 1), [4, 1]));
    graph.node('MatMul', [above, weights], {}, { outputs: ['score'] });
    graph.output('score', 'float32', ['N', 1]);
    const found = await explained(encodeModel(graph.build('steps')), Float32Array.of(1, 1, 1, 1), [
      Float32Array.of(-1, -1, -1, -1),
    ]);
    expect(found).toMatchObject({ method: 'permutation', score: 5, reference: 0, sum: 5, gap: 0 });
    expect(found.features.slice(0, 2).map(({ name, attribution }) => [name, attribution])).toEqual([
      ['x', 4],
      ['y', 1],
    ]);
  });

  it('of a model with several inputs explains numbers and indices', async () => {
    const manifest = `name: m
task: binary
features:
  - {name: amount, from: request.amount, input: numbers}
  - {name: shop, from: request.shop, input: shop, dtype: int64}
  - {name: age, from: request.age, input: numbers}
  - {name: weight, from: request.weight, input: weight}
`;
    const graph = new GraphBuilder();
    const numbers = graph.input('numbers', 'float32', ['N', 2]);
    const shop = graph.input('shop', 'int64', ['N', 1]);
    const weight = graph.input('weight', 'float32', ['N', 1]);
    const by = graph.initializer('by', float32Tensor(Float32Array.of(2, -1), [2, 1]));
    const table = graph.initializer('table', float32Tensor(Float32Array.of(0, 10, 20), [3, 1]));
    const flat = graph.node('Reshape', [shop, graph.initializer('flat', int64Tensor([-1]))]);
    const bought = graph.node('Gather', [table, flat]);
    const sum = graph.node('Add', [graph.node('MatMul', [numbers, by]), bought]);
    graph.node('Add', [sum, weight], {}, { outputs: ['score'] });
    graph.output('score', 'float32', ['N', 1]);
    const onnx = encodeModel(graph.build('several'));
    const spec = [
      { name: 'numbers', datatype: 'FP32', shape: [1, 2] },
      { name: 'shop', datatype: 'INT64', shape: [1, 1] },
      { name: 'weight', datatype: 'FP32', shape: [1, 1] },
    ] as const;
    const logged = (amount: number, age: number, index: number, heavy: number): LoggedPrediction => ({
      ...{ rows: 1, columns: 0, statuses: Buffer.alloc(4), input_spec: spec },
      features: Buffer.concat([
        Buffer.from(Float32Array.of(amount, age).buffer),
        Buffer.from(BigInt64Array.of(BigInt(index)).buffer),
        Buffer.from(Float32Array.of(heavy).buffer),
      ]),
    });
    const found = await explainedAs(manifest, onnx, logged(3, 1, 2, 7), [logged(1, 1, 0, 5)]);
    // An index has no gradient: what it moves is seen by permutations.
    expect(found).toMatchObject({ method: 'permutation', score: 32, reference: 6, sum: 26, gap: 0 });
    const moved = Object.fromEntries(found.features.map(({ name, attribution }) => [name, attribution]));
    expect(moved).toEqual({ shop: 20, amount: 4, weight: 2, age: 0 });
    expect(found.features[0]).toMatchObject({ name: 'shop', values: [2] });
    const hidden = { ...logged(3, 1, 2, 7), input_spec: spec.map((one) => ({ ...one, hidden: true })) };
    await expect(explainedAs(manifest, onnx, hidden, [])).rejects.toMatchObject({
      reason: 'not_explainable',
    });
  });

  it('of a model with several numeric inputs uses integrated gradients over all of them', async () => {
    const manifest = `name: m
task: binary
features:
  - {name: amount, from: request.amount, input: numbers}
  - {name: weight, from: request.weight, input: weight}
  - {name: age, from: request.age, input: numbers}
`;
    const graph = new GraphBuilder();
    const numbers = graph.input('numbers', 'float32', ['N', 2]);
    const weight = graph.input('weight', 'float32', ['N', 1]);
    const by = graph.initializer('by', float32Tensor(Float32Array.of(2, -1), [2, 1]));
    graph.node('Add', [graph.node('MatMul', [numbers, by]), weight], {}, { outputs: ['score'] });
    graph.output('score', 'float32', ['N', 1]);
    const logged = (...values: number[]): LoggedPrediction => ({
      ...{ rows: 1, columns: 0, statuses: Buffer.alloc(3) },
      features: Buffer.from(Float32Array.from(values).buffer),
      input_spec: [
        { name: 'numbers', datatype: 'FP32', shape: [1, 2] },
        { name: 'weight', datatype: 'FP32', shape: [1, 1] },
      ],
    });
    const onnx = encodeModel(graph.build('several'));
    const found = await explainedAs(manifest, onnx, logged(3, 1, 7), [logged(1, 1, 5)]);
    expect(found).toMatchObject({ method: 'integrated_gradients', score: 12, reference: 6 });
    const moved = Object.fromEntries(found.features.map((one) => [one.name, one.attribution]));
    expect(moved.amount).toBeCloseTo(4, 5);
    expect(moved.weight).toBeCloseTo(2, 5);
    expect(found.features[1]).toMatchObject({ name: 'weight', values: [7] });
  });

  it('refuses a missing row, and features that were not logged as a matrix', async () => {
    const onnx = perceptron({
      inputs: 4,
      hidden: [],
      outputs: 1,
      activation: 'relu',
      head: 'sigmoid',
      seed: 1,
    });
    await expect(explained(onnx, new Float32Array(4), [], 3)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(explained(onnx, new Float32Array(3), [])).rejects.toMatchObject({
      ...{ code: 'FAILED_PRECONDITION', reason: 'not_explainable' },
    });
  });

  it('by permutations fails the check when an attribution is lost', () => {
    const groups = [
      { offset: 0, width: 1 },
      { offset: 1, width: 1 },
    ];
    const { orders, values, rows } = walksOf(Float32Array.of(1, 2), [new Float32Array(2)], groups, 4, 1);
    const product = Float64Array.from({ length: rows }, (_, row) => {
      const [a, b] = [values[2 * row] ?? 0, values[2 * row + 1] ?? 0];
      return a * b + a;
    });
    const found = permutationAttributions(orders, product, 2);
    // Shapley values of ab + a at (1, 2) from (0, 0): half of the product each, and a.
    expect(found.byFeature).toEqual([2, 1]);
    product[1] = (product[1] ?? 0) + 1;
    expect(permutationAttributions(orders, product, 2).byFeature).not.toEqual([2, 1]);
  });
});
