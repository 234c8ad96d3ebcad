import { GraphBuilder, int } from '@hotloop/model/onnx/graph-builder.ts';
import { encodeModel } from '@hotloop/model/onnx/model.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { float32Tensor } from '@hotloop/model/onnx/tensor.ts';
import { memoryBundleStore } from '@hotloop/platform/registry/memory-bundle-store.ts';
import { describe, expect, it } from 'vitest';
import type { Trainer } from '../improve/trainer.ts';
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

async function explained(
  onnx: Uint8Array,
  row: Float32Array,
  background: readonly Float32Array[],
  index = 0,
) {
  const bundles = memoryBundleStore();
  const bundleSha256 = await bundles.put({ manifestYaml: MANIFEST, onnx });
  const features = Buffer.from(row.buffer, row.byteOffset, row.byteLength);
  const logged: ExplainedRow = {
    ...{ model: 'm', version: 1, bundleSha256, candidates: [], rows: 1, columns: row.length },
    ...{ features, statuses: Buffer.alloc(3), outputs: null, outputSpec: null, background },
    row: () => row,
    rowBytes: () => features,
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

  it('of a graph of steps, which has no gradient, comes from permutations and adds up exactly', async () => {
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

  it('refuses a row that is not there, and features that were not logged as a matrix', async () => {
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

  it('by permutations is caught when an attribution is lost', () => {
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
