import { describe, expect, it } from 'vitest';
import { type Attributes, GraphBuilder, int, ints } from '../graph-builder.ts';
import type { OnnxModel } from '../model.ts';
import { decodeModel } from '../model.ts';
import { perceptron } from '../perceptron.ts';
import { float32Tensor, int64Tensor, type OnnxTensor } from '../tensor.ts';
import { rowsAreIndependent } from './rows-are-independent.ts';

type Write = (graph: GraphBuilder, x: string) => string;

/** x float32 of a shape -> y. */
function model(write: Write, shape: readonly (number | string)[] = ['N', 4], opset = 17): OnnxModel {
  const graph = new GraphBuilder();
  graph.input('x', 'float32', shape);
  const y = write(graph, 'x');
  graph.node('Identity', [y], {}, { name: 'give', outputs: ['y'] });
  graph.output('y', 'float32', ['N']);
  return graph.build('rows', { opset });
}

const filled = (...dims: number[]): OnnxTensor =>
  float32Tensor(
    Array.from({ length: dims.reduce((all, one) => all * one, 1) }, () => 0.5),
    dims,
  );

const unary =
  (operator: string, attributes: Attributes = {}): Write =>
  (graph, x) =>
    graph.node(operator, [x], attributes);

/** Reshape to [rows, ...] by the size of the first dimension, as PyTorch exports it. */
const dynamicReshape =
  (...rest: number[]): Write =>
  (graph, x) => {
    const size = graph.node('Gather', [
      graph.node('Shape', [x]),
      graph.constant('first', int64Tensor([0], [])),
    ]);
    const vector = graph.node('Unsqueeze', [size, graph.constant('axes', int64Tensor([0]))]);
    const shape = graph.node('Concat', [vector, graph.constant('rest', int64Tensor(rest))], { axis: int(0) });
    return graph.node('Reshape', [x, shape]);
  };

const INDEPENDENT: readonly [string, Write, (readonly (number | string)[])?, number?][] = [
  ['an activation', unary('Relu')],
  ['a bias over columns', (graph, x) => graph.node('Add', [x, graph.constant('b', filled(4))])],
  ['a product with weights', (graph, x) => graph.node('MatMul', [x, graph.constant('w', filled(4, 2))])],
  [
    'a linear layer',
    (graph, x) =>
      graph.node('Gemm', [x, graph.constant('w', filled(2, 4)), graph.constant('b', filled(2))], {
        transB: int(1),
      }),
  ],
  ['a softmax over columns', unary('Softmax', { axis: int(-1) })],
  ['an old softmax', unary('Softmax', { axis: int(1) }), ['N', 4], 11],
  ['a mean over columns', unary('ReduceMean', { axes: ints([1]), keepdims: int(0) })],
  ['flattening', unary('Flatten'), ['N', 2, 3]],
  [
    'a reshape that keeps the rows',
    (graph, x) => graph.node('Reshape', [x, graph.constant('s', int64Tensor([0, 2, 2]))]),
  ],
  [
    'a reshape that keeps the elements per row',
    (graph, x) => graph.node('Reshape', [x, graph.constant('s', int64Tensor([-1, 2, 2]))]),
  ],
  ['a reshape by the number of rows', dynamicReshape(2, -1)],
  [
    'a convolution',
    (graph, x) => graph.node('Conv', [x, graph.constant('w', filled(2, 1, 3, 3))]),
    ['N', 1, 5, 5],
  ],
  [
    'a transpose and its inverse',
    (graph, x) =>
      graph.node('Transpose', [graph.node('Transpose', [x], { perm: ints([1, 0]) })], { perm: ints([1, 0]) }),
  ],
  [
    'attention within a row',
    (graph, x) => {
      const turned = graph.node('Transpose', [x], { perm: ints([0, 2, 1]) });
      const weights = graph.node('Softmax', [graph.node('MatMul', [x, turned])], { axis: int(-1) });
      return graph.node('MatMul', [weights, x]);
    },
    ['N', 3, 4],
  ],
  [
    'embeddings',
    (graph, x) =>
      graph.node('Gather', [graph.constant('e', filled(10, 3)), graph.node('Cast', [x], { to: int(7) })]),
  ],
  [
    'a state of zeros for each row',
    (graph, x) => {
      const size = graph.node('Slice', [
        graph.node('Shape', [x]),
        graph.constant('from', int64Tensor([0])),
        graph.constant('to', int64Tensor([1])),
      ]);
      const shape = graph.node('Concat', [size, graph.constant('h', int64Tensor([4]))], { axis: int(0) });
      return graph.node('Add', [x, graph.node('ConstantOfShape', [shape])]);
    },
  ],
];

const DEPENDENT: readonly [string, Write, (readonly (number | string)[])?, number?][] = [
  [
    'a mean over rows',
    (graph, x) => graph.node('Sub', [x, graph.node('ReduceMean', [x], { axes: ints([0]) })]),
  ],
  ['a mean over everything', (graph, x) => graph.node('Sub', [x, graph.node('ReduceMean', [x])])],
  ['a softmax over rows', unary('Softmax', { axis: int(0) })],
  ['an old softmax from the first axis', unary('Softmax', { axis: int(0) }), ['N', 4], 11],
  [
    'a running sum over rows',
    (graph, x) => graph.node('CumSum', [x, graph.constant('axis', int64Tensor([0], []))]),
  ],
  [
    'the number of rows as a value',
    (graph, x) => graph.node('Div', [x, graph.node('Cast', [graph.node('Shape', [x])], { to: int(1) })]),
  ],
  [
    'a constant for each position in the batch',
    (graph, x) => graph.node('Add', [x, graph.constant('b', filled(3, 4))]),
  ],
  [
    'a reshape across rows',
    (graph, x) => graph.node('Reshape', [x, graph.constant('s', int64Tensor([-1, 2]))]),
  ],
  ['a transpose', unary('Transpose', { perm: ints([1, 0]) })],
  [
    'products of rows with rows',
    (graph, x) => graph.node('MatMul', [x, graph.node('Transpose', [x], { perm: ints([1, 0]) })]),
  ],
  [
    'selecting rows by position',
    (graph, x) => graph.node('Gather', [x, graph.constant('i', int64Tensor([0]))], { axis: int(0) }),
  ],
  ['an operator without a rule', unary('DynamicQuantizeLinear')],
  ['noise', unary('RandomNormalLike')],
];

describe('whether a graph keeps the rows of a batch independent', () => {
  it.each(INDEPENDENT)('yes: %s', (_, write, shape, opset) => {
    expect(rowsAreIndependent(model(write, shape, opset))).toBe(true);
  });

  it.each(DEPENDENT)('not shown: %s', (_, write, shape, opset) => {
    expect(rowsAreIndependent(model(write, shape, opset))).toBe(false);
  });

  it('yes: a perceptron', () => {
    const bytes = perceptron({
      inputs: 4,
      hidden: [8],
      outputs: 1,
      activation: 'relu',
      head: 'sigmoid',
      seed: 1,
    });
    expect(rowsAreIndependent(decodeModel(bytes))).toBe(true);
  });
});
