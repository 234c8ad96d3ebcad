import { GraphBuilder, int } from '@hotloop/model/onnx/graph-builder.ts';
import type { OnnxModel } from '@hotloop/model/onnx/model.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { float32Tensor } from '@hotloop/model/onnx/tensor.ts';
import type { LossName, LossSpec } from '@hotloop/model/training/training-settings.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkGradient } from './testing/check-gradient.ts';
import { writeTrainingGraph } from './write-training-graph.ts';

const tolerance = 1e-5;
const runs = 10;

/** One way a model ends, and the loss it is trained with. */
interface Ending {
  readonly title: string;
  readonly loss: LossName | LossSpec;
  readonly classes: number;
  /** Writes the last operations on the last layer's values. @returns the model's output. */
  readonly write: (graph: GraphBuilder, value: string) => string;
}

const endings: readonly Ending[] = [
  {
    title: 'binary_cross_entropy after Sigmoid',
    loss: 'binary_cross_entropy',
    classes: 1,
    write: (graph, value) => graph.node('Sigmoid', [value]),
  },
  {
    title: 'binary_cross_entropy after Sigmoid and Identity',
    loss: 'binary_cross_entropy',
    classes: 1,
    write: (graph, value) => graph.node('Identity', [graph.node('Sigmoid', [value])]),
  },
  {
    title: 'binary_cross_entropy on probabilities made otherwise',
    loss: 'binary_cross_entropy',
    classes: 1,
    write: (graph, value) => {
      const share = graph.constant('share', float32Tensor([0.5], []));
      return graph.node('Mul', [
        graph.node('Add', [graph.node('Tanh', [value]), graph.constant('one', float32Tensor([1], []))]),
        share,
      ]);
    },
  },
  {
    title: 'cross_entropy after Softmax',
    loss: 'cross_entropy',
    classes: 3,
    write: (graph, value) => graph.node('Softmax', [value], { axis: int(1) }),
  },
  {
    title: 'cross_entropy on probabilities made otherwise',
    loss: 'cross_entropy',
    classes: 4,
    write: (graph, value) => graph.node('Exp', [graph.node('LogSoftmax', [value])]),
  },
  {
    title: 'binary_cross_entropy, weighted and smoothed',
    loss: { name: 'binary_cross_entropy', positiveWeight: 3, labelSmoothing: 0.2 },
    classes: 1,
    write: (graph, value) => graph.node('Sigmoid', [value]),
  },
  {
    title: 'cross_entropy, weighted and smoothed',
    loss: { name: 'cross_entropy', classWeights: [1, 2, 0.5], labelSmoothing: 0.1 },
    classes: 3,
    write: (graph, value) => graph.node('Softmax', [value], { axis: int(1) }),
  },
  ...(['mean_absolute_error', 'huber', 'quantile', 'bpr', 'listwise_softmax'] as const).map((loss) => ({
    title: loss,
    loss: { name: loss, quantile: 0.8 },
    classes: 1,
    write: (_graph: GraphBuilder, value: string) => value,
  })),
  {
    title: 'mean_squared_error',
    loss: 'mean_squared_error',
    classes: 1,
    write: (_graph, value) => value,
  },
];

function draw(random: SeededRandom, dims: number[]) {
  const count = dims.reduce((a, b) => a * b, 1);
  return float32Tensor(
    Float32Array.from({ length: count }, () => random.normal()),
    dims,
  );
}

/** input [N, features] -> MatMul, Add, Tanh -> Gemm, Relu -> MatMul, Add, Sigmoid -> Gemm -> the ending */
function network(random: SeededRandom, features: number, ending: Ending): OnnxModel {
  const graph = new GraphBuilder('net/');
  const size = () => 2 + random.integer(4);
  const [first, second, third] = [size(), size(), size()];
  const weight = (name: string, dims: number[]) => graph.initializer(name, draw(random, dims));
  let value = graph.input('input', 'float32', random.uniform() < 0.5 ? ['N', features] : null);
  value = graph.node('Gemm', [value, weight('w1', [features, first]), weight('b1', [first])]);
  value = graph.node('Tanh', [value]);
  value = graph.node('Add', [
    graph.node('MatMul', [value, weight('w2', [first, second])]),
    weight('b2', [second]),
  ]);
  value = graph.node('Relu', [value]);
  value = graph.node('Gemm', [value, weight('w3', [third, second]), weight('b3', [1, third])], {
    transB: int(1),
  });
  value = graph.node('Sigmoid', [value]);
  value = graph.node('Gemm', [value, weight('w4', [third, ending.classes]), weight('b4', [ending.classes])]);
  graph.node('Identity', [ending.write(graph, value)], {}, { outputs: ['out'] });
  graph.output('out', 'float32', ['N', ending.classes]);
  return graph.build('network');
}

describe('the gradient of a whole network under', () => {
  it.each(endings)('$title agrees with central differences', async (ending) => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0 }), async (seed) => {
        const random = new SeededRandom(seed);
        const [rows, features] = [1 + random.integer(6), 1 + random.integer(5)];
        const found = await checkGradient(network(random, features, ending), {
          loss: ending.loss,
          inputs: {
            input: { values: draw(random, [rows, features]).data as Float32Array, dims: [rows, features] },
          },
          labels: Float64Array.from({ length: rows }, () =>
            ending.loss === 'mean_squared_error'
              ? random.normal()
              : random.integer(Math.max(2, ending.classes)),
          ),
          weights: Float64Array.from({ length: rows }, () => 0.2 + random.uniform()),
        });
        expect(found.worst, `at ${found.at}`).toBeLessThanOrEqual(tolerance);
        expect(found.kinks).toBeLessThanOrEqual(0.1 * found.checked);
      }),
      { numRuns: runs },
    );
  });
});

describe('a loss', () => {
  /** A model whose one weight is its last layer's value itself: scores can be set as extreme as wanted. */
  function bare(
    values: readonly number[],
    ending: (graph: GraphBuilder, value: string) => string,
  ): OnnxModel {
    const graph = new GraphBuilder('bare/');
    graph.initializer('scores', float32Tensor(values, [values.length, 1]));
    graph.node('Identity', [ending(graph, 'scores')], {}, { outputs: ['out'] });
    graph.output('out', 'float32', ['N', 1]);
    return graph.build('bare');
  }

  it('stays finite for scores that saturate the Sigmoid', async () => {
    const model = bare([500, -500, 800], (graph, value) => graph.node('Sigmoid', [value]));
    const found = await checkGradient(model, { loss: 'binary_cross_entropy', labels: [0, 1, 1] });
    expect(found.loss).toBeCloseTo(1000 / 3, 6);
    expect(found.worst).toBeLessThanOrEqual(tolerance);
  });

  it('is the weighted mean over examples', async () => {
    const model = bare([1, 2, 4], (_graph, value) => value);
    const found = await checkGradient(model, {
      loss: 'mean_squared_error',
      labels: [0, 0, 0],
      weights: [1, 1, 2],
    });
    expect(found.loss).toBeCloseTo((1 + 4 + 2 * 16) / 4, 12);
  });

  it('is refused on an output with too many values per row', () => {
    const graph = new GraphBuilder();
    graph.input('input', 'float32', ['N', 2]);
    graph.initializer('weight', float32Tensor([1, 2, 3, 4], [2, 2]));
    graph.node('MatMul', ['input', 'weight'], {}, { outputs: ['logits'] });
    graph.node('Sigmoid', ['logits'], {}, { outputs: ['out'] });
    graph.output('out', 'float32', ['N', 2]);
    const write = () =>
      writeTrainingGraph(graph.build('wide'), { loss: 'binary_cross_entropy', until: 'loss' });
    expect(write).toThrow("loss binary_cross_entropy takes one value per row, but output 'out' has 2");
  });
});
