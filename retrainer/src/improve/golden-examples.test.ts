import { goldenProblems } from '@hotloop/model/manifest/golden-problems.ts';
import { flattenValues } from '@hotloop/model/manifest/nested-values.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { GraphBuilder, int } from '@hotloop/model/onnx/graph-builder.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { encodeModel } from '@hotloop/model/onnx/model.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { int64Tensor } from '@hotloop/model/onnx/tensor.ts';
import { describe, expect, it } from 'vitest';
import type { DatasetPart } from '../datasets/dataset.ts';
import { allCells } from '../training/feature-cells.ts';
import { scoreModel } from '../training/score-model.ts';
import { goldenExamples } from './golden-examples.ts';
import type { Trainer } from './trainer.ts';

const limits = { timeoutMs: 60_000 };

/** Scores in this process, with the code of the evaluator's. */
const trainer: Trainer = {
  train: () => Promise.reject(new Error('nothing is to be trained here')),
  score: ({ models, dataset, output }) =>
    Promise.all(models.map((model) => scoreModel(model, dataset, output))),
};

const PLANS = ['free', 'pro', 'team'];
const MANIFEST = parseManifest(`
name: churn
features:
  - {name: visits, from: request.visits}
  - {name: plan, from: request.plan, transform: [{one_hot: [${PLANS}]}]}
`);

/** Rows of a number of their own and one plan of three. */
function heldOut(rows: number): DatasetPart {
  const features = Float32Array.from({ length: rows * 4 }, (_, index) => {
    const [row, column] = [Math.floor(index / 4), index % 4];
    return column === 0 ? row + 0.1 : Number(row % 3 === column - 1);
  });
  const zeros = new Float32Array(rows);
  return { rows, columns: 4, features, labels: zeros, weights: zeros, groups: new Uint32Array(rows) };
}

const modelOf = (inputs: number, head: 'sigmoid' | 'softmax' = 'sigmoid', outputs = 1) =>
  perceptron({ inputs, hidden: [8], outputs, activation: 'tanh', head, seed: 5 });

describe('golden examples of a trained version', () => {
  it('are served values, each from a different row, with the outputs of the model', async () => {
    const held = heldOut(200);
    const model = modelOf(4);
    const examples = await goldenExamples(MANIFEST, model, held, trainer, limits);
    expect(examples).toHaveLength(1);
    expect(goldenProblems({ examples }, inspectModel(model))).toEqual([]);
    const { shape, elements } = flattenValues(examples[0]!.inputs.input!);
    expect(shape).toEqual([8, 4]);
    const rows = Array.from({ length: 8 }, (_, row) => elements.slice(row * 4, row * 4 + 4).map(Number));
    let ofOneVisitor = 0;
    for (const [visits = 0, ...plan] of rows) {
      expect(plan.toSorted()).toEqual([0, 0, 1]);
      const visitor = Math.round(visits - 0.1);
      expect(Math.fround(visits)).toBe(allCells(held)[visitor * 4]);
      if (plan[visitor % 3] === 1) ofOneVisitor++;
    }
    expect(ofOneVisitor).toBeLessThan(8);
    const dataset = { ...held, rows: 8, features: Float32Array.from(rows.flat()) };
    const { values } = await scoreModel(model, dataset, undefined);
    const expected = flattenValues(examples[0]!.outputs.score!);
    expect(expected.shape).toEqual([8, 1]);
    expect(Float32Array.from(expected.elements as number[])).toEqual(values);
  });

  it('are the same for the same rows and weights, so a repeated run registers the same bundle', async () => {
    const make = (rows: number) => goldenExamples(MANIFEST, modelOf(4), heldOut(rows), trainer, limits);
    expect(await make(50)).toEqual(await make(50));
    expect(await make(50)).not.toEqual(await make(51));
  });

  it('have the shape in which the model gives its output', async () => {
    const graph = new GraphBuilder();
    graph.input('rows', 'float32', ['N', 4]);
    const axes = graph.initializer('axes', int64Tensor([1]));
    graph.node('ReduceSum', ['rows', axes], { keepdims: int(0) }, { name: 'sum', outputs: ['flat'] });
    graph.output('flat', 'float32', ['N']);
    const flat = encodeModel(graph.build('flat'));
    const [vector] = await goldenExamples(MANIFEST, flat, heldOut(20), trainer, limits);
    expect(flattenValues(vector!.outputs.flat!).shape).toEqual([8]);
    const classes = modelOf(4, 'softmax', 3);
    const manifest = { ...MANIFEST, output: 'probabilities' };
    const [matrix] = await goldenExamples(manifest, classes, heldOut(20), trainer, limits);
    expect(flattenValues(matrix!.outputs.probabilities!).shape).toEqual([8, 3]);
  });

  it('omit rows whose outputs are not finite', async () => {
    const graph = new GraphBuilder();
    graph.input('input', 'float32', ['N', 1]);
    graph.node('Log', ['input'], {}, { name: 'log', outputs: ['score'] });
    graph.output('score', 'float32', ['N', 1]);
    const manifest = parseManifest('name: log\nfeatures: [{name: x, from: request.x}]\n');
    const random = new SeededRandom(2);
    const features = Float32Array.from({ length: 40 }, () => random.integer(2));
    const held = { ...heldOut(40), columns: 1, features };
    const [example] = await goldenExamples(manifest, encodeModel(graph.build('log')), held, trainer, limits);
    const { elements } = flattenValues(example!.inputs.input!);
    expect(elements.length).toBeLessThan(8);
    expect(new Set(elements)).toEqual(new Set([1]));
    const zeros = { ...held, features: new Float32Array(40) };
    expect(await goldenExamples(manifest, encodeModel(graph.build('log')), zeros, trainer, limits)).toEqual(
      [],
    );
  });

  it('are fewer for wide rows, and none if one row is too wide or none is held out', async () => {
    const wide = async (columns: number) => {
      const from = `request.x, transform: [{one_hot: [${Array.from({ length: columns }, (_, index) => index)}]}]`;
      const manifest = parseManifest(`name: wide\nfeatures: [{name: x, from: ${from}}]\n`);
      const random = new SeededRandom(1);
      const features = Float32Array.from({ length: columns }, () => random.normal());
      const held = { ...heldOut(1), columns, features };
      return goldenExamples(manifest, modelOf(columns), held, trainer, limits);
    };
    const [narrower] = await wide(1_000);
    expect(flattenValues(narrower!.inputs.input!).shape).toEqual([2, 1_000]);
    expect(await wide(10_000)).toEqual([]);
    expect(await goldenExamples(MANIFEST, modelOf(4), heldOut(0), trainer, limits)).toEqual([]);
  });
});
