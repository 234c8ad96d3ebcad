import { type Attributes, float, int, ints } from '@hotloop/model/onnx/graph-builder.ts';
import { elementCount } from '@hotloop/model/onnx/tensor.ts';
import type { DifferentiableOperator } from '../gradients/gradient-rules.ts';
import { indexingCases } from './indexing-cases.ts';
import type { OperatorCase, RandomGraph } from './random-graph.ts';
import { recurrentCases } from './recurrent-cases.ts';
import { referenceErf, referenceGelu } from './reference-operators.ts';
import { windowCases } from './window-cases.ts';

const unary =
  (
    operator: string,
    range: 'signed' | 'positive' = 'signed',
    attributes: (g: RandomGraph) => Attributes = () => ({}),
  ): OperatorCase =>
  (g) => {
    const dims = g.shape(0, 4);
    return { value: g.graph.node(operator, [g.hidden(g.weight(dims, range), dims)], attributes(g)), dims };
  };

/** An operator that the runtime has in float32 only, with its function in float64. */
const mapped =
  (operator: string, reference: (x: number) => number, attributes: Attributes = {}): OperatorCase =>
  (g) => {
    const dims = g.shape(0, 4);
    const value = g.graph.node(operator, [g.hidden(g.weight(dims), dims)], attributes);
    return { value, dims, reference: ([x]) => x!.map(reference) };
  };

const binary =
  (operator: string, divisor: 'signed' | 'positive' = 'signed'): OperatorCase =>
  (g) => {
    const { a, b, result } = g.broadcastPair();
    const inputs = [g.hidden(g.weight(a), a), g.hidden(g.weight(b, divisor), b)];
    return { value: g.graph.node(operator, inputs), dims: result };
  };

const alongAxis =
  (operator: string): OperatorCase =>
  (g) => {
    const dims = g.shape(1, 4);
    const axis = g.random.integer(2 * dims.length) - dims.length;
    return {
      value: g.graph.node(operator, [g.weight(dims)], g.chance(0.8) ? { axis: int(axis) } : {}),
      dims,
    };
  };

const reduction =
  (operator: 'ReduceSum' | 'ReduceMean' | 'ReduceMax' | 'ReduceMin'): OperatorCase =>
  (g) => {
    const dims = g.shape(1, 4);
    const axes = g.some(dims.map((_, axis) => (g.chance() ? axis : axis - dims.length)));
    const keep = g.chance();
    const isNoop = axes.length === 0 && g.chance();
    const opset = operator === 'ReduceSum' || isNoop ? 18 : g.pick([17, 18]);
    const attributes = { keepdims: int(keep ? 1 : 0), ...(isNoop ? { noop_with_empty_axes: int(1) } : {}) };
    const reduced = new Set(axes.map((axis) => (axis + dims.length) % dims.length));
    const isReduced = (axis: number) => !isNoop && (axes.length === 0 || reduced.has(axis));
    const result = dims.flatMap((dim, axis) => (isReduced(axis) ? (keep ? [1] : []) : [dim]));
    const x = g.hidden(g.weight(dims), dims);
    if (axes.length === 0) return { value: g.graph.node(operator, [x], attributes), dims: result, opset };
    const value =
      opset === 18
        ? g.graph.node(operator, [x, g.integers(axes)], attributes)
        : g.graph.node(operator, [x], { ...attributes, axes: ints(axes) });
    return { value, dims: result, opset };
  };

const matMul: OperatorCase = (g) => {
  const [m, k, n] = [g.size(), g.size(), g.size()];
  const { a, b, result } = g.broadcastPair();
  const [left, right, dims] = g.pick([
    [
      [m, k],
      [k, n],
      [m, n],
    ],
    [[k], [k, n], [n]],
    [[m, k], [k], [m]],
    [[k], [k], []],
    [
      [...result, m, k],
      [k, n],
      [...result, m, n],
    ],
    [
      [m, k],
      [...result, k, n],
      [...result, m, n],
    ],
    [[k], [...result, k, n], [...result, n]],
    [[...result, m, k], [k], [...result, m]],
    [
      [...a, m, k],
      [...b, k, n],
      [...result, m, n],
    ],
  ]);
  return { value: g.graph.node('MatMul', [g.weight(left!), g.weight(right!)]), dims: dims! };
};

const gemm: OperatorCase = (g) => {
  const [m, k, n] = [g.size(), g.size(), g.size()];
  const [transA, transB] = [g.chance(), g.chance()];
  const inputs = [g.weight(transA ? [k, m] : [m, k]), g.weight(transB ? [n, k] : [k, n])];
  const bias = g.pick([null, [], [1], [n], [1, n], [m, 1], [m, n]]);
  if (bias) inputs.push(g.hidden(g.weight(bias), bias));
  const attributes = {
    ...(transA ? { transA: int(1) } : {}),
    ...(transB ? { transB: int(1) } : {}),
    ...(g.chance() ? { alpha: float(0.7) } : {}),
    ...(g.chance() ? { beta: float(-1.3) } : {}),
  };
  return { value: g.graph.node('Gemm', inputs, attributes), dims: [m, n] };
};

const clip: OperatorCase = (g) => {
  const dims = g.shape(0, 3);
  // Bounds that no drawn value comes near: values are 0.1 or more from 0.
  const inputs = [g.hidden(g.weight(dims), dims)];
  const isBounded = [g.chance(), g.chance()];
  inputs.push(isBounded[0] ? g.constant([-0.05], []) : '');
  if (isBounded[1]) inputs.push(g.constant([0.05], []));
  return { value: g.graph.node('Clip', inputs), dims };
};

const concat: OperatorCase = (g) => {
  const base = g.shape(1, 3);
  const axis = g.random.integer(base.length);
  const parts = Array.from({ length: g.size() }, () => base.with(axis, g.size()));
  const inputs = parts.map((dims) => g.hidden(g.weight(dims), dims));
  const total = parts.reduce((sum, dims) => sum + dims[axis]!, 0);
  const written = g.chance() ? axis : axis - base.length;
  return { value: g.graph.node('Concat', inputs, { axis: int(written) }), dims: base.with(axis, total) };
};

const pow: OperatorCase = (g) => {
  const { a, b, result } = g.broadcastPair();
  const exponents = Array.from({ length: elementCount(b) }, () => g.pick([2, 3, 0.5, -1]));
  return {
    value: g.graph.node('Pow', [g.hidden(g.weight(a, 'positive'), a), g.constant(exponents, b)]),
    dims: result,
  };
};

const transpose: OperatorCase = (g) => {
  const dims = g.shape(1, 4);
  const order = [...dims.keys()];
  g.random.shuffle(order);
  if (g.chance(0.3)) return { value: g.graph.node('Transpose', [g.weight(dims)]), dims: dims.toReversed() };
  return {
    value: g.graph.node('Transpose', [g.weight(dims)], { perm: ints(order) }),
    dims: order.map((axis) => dims[axis]!),
  };
};

/** One case for every operator in the table: an operator without one does not compile. */
export const operatorCases: Readonly<Record<DifferentiableOperator, OperatorCase>> = {
  Abs: unary('Abs'),
  Add: binary('Add'),
  Cast: unary('Cast', 'signed', () => ({ to: int(1) })),
  Clip: clip,
  Concat: concat,
  Div: binary('Div', 'positive'),
  Dropout: unary('Dropout'),
  Exp: unary('Exp'),
  Flatten: (g) => {
    const dims = g.shape(1, 4);
    const value = g.graph.node('Flatten', [g.weight(dims)], { axis: int(g.random.integer(dims.length + 1)) });
    return { value, dims };
  },
  Gemm: gemm,
  Identity: unary('Identity'),
  LeakyRelu: unary('LeakyRelu', 'signed', (g) => (g.chance() ? { alpha: float(0.2) } : {})),
  Log: unary('Log', 'positive'),
  LogSoftmax: alongAxis('LogSoftmax'),
  MatMul: matMul,
  Mul: binary('Mul'),
  Neg: unary('Neg'),
  Pow: pow,
  ReduceMean: reduction('ReduceMean'),
  ReduceSum: reduction('ReduceSum'),
  Relu: unary('Relu'),
  Reshape: (g) => {
    const dims = g.shape(0, 4);
    return { value: g.graph.node('Reshape', [g.weight(dims), g.integers([1, -1])]), dims };
  },
  Sigmoid: unary('Sigmoid'),
  Softmax: alongAxis('Softmax'),
  Sqrt: unary('Sqrt', 'positive'),
  Squeeze: (g) => {
    const dims = [g.size(), 1, g.size(), 1];
    const inputs = [g.weight(dims), ...(g.chance() ? [g.integers([1, -1])] : [])];
    return { value: g.graph.node('Squeeze', inputs), dims };
  },
  Sub: binary('Sub'),
  Tanh: unary('Tanh'),
  Transpose: transpose,
  BatchNormalization: (g) => {
    const dims = g.shape(2, 4);
    const channels = dims[1]!;
    const isTraining = g.chance() && elementCount(dims) > 2 * channels;
    const inputs = [
      g.weight(dims),
      g.weight([channels], 'positive'),
      g.weight([channels]),
      g.constant(g.values(channels), [channels]),
      g.constant(g.values(channels, 'positive'), [channels]),
    ];
    if (!isTraining) return { value: g.graph.node('BatchNormalization', inputs), dims };
    const [value] = g.graph.nodeOf('BatchNormalization', inputs, 3, {
      training_mode: int(1),
      epsilon: float(0.1),
    });
    return { value: value!, dims };
  },
  Elu: mapped('Elu', (x) => (x > 0 ? x : Math.exp(x) - 1)),
  Erf: mapped('Erf', referenceErf),
  Gelu: (g) => {
    const isApproximate = g.chance();
    const text = isApproximate ? 'tanh' : 'none';
    const attributes = { approximate: { kind: 'string', value: text } } as const;
    return { ...mapped('Gelu', (x) => referenceGelu(x, isApproximate), attributes)(g), opset: 20 };
  },
  HardSigmoid: mapped('HardSigmoid', (x) => Math.min(1, Math.max(0, Math.fround(0.7) * x + 0.5)), {
    alpha: float(0.7),
  }),
  LayerNormalization: (g) => {
    const dims = g.shape(1, 4);
    dims[dims.length - 1] = 2 + g.size();
    const axis = g.random.integer(dims.length);
    const inner = dims.slice(axis);
    const inputs = [g.weight(dims), g.weight(inner), ...(g.chance() ? [g.weight(inner)] : [])];
    const attributes = { axis: int(g.chance() ? axis : axis - dims.length), epsilon: float(0.1) };
    return { value: g.graph.node('LayerNormalization', inputs, attributes), dims };
  },
  PRelu: (g) => {
    const dims = g.shape(1, 4);
    const thin = dims.slice(g.random.integer(dims.length)).map((dim) => (g.chance(0.3) ? 1 : dim));
    return { value: g.graph.node('PRelu', [g.hidden(g.weight(dims), dims), g.weight(thin)]), dims };
  },
  Reciprocal: unary('Reciprocal', 'positive'),
  ReduceMax: reduction('ReduceMax'),
  ReduceMin: reduction('ReduceMin'),
  Softplus: mapped('Softplus', (x) => Math.log1p(Math.exp(x))),
  ...indexingCases,
  ...recurrentCases,
  ...windowCases,
  Unsqueeze: (g) => {
    const dims = g.shape(1, 3);
    return { value: g.graph.node('Unsqueeze', [g.weight(dims), g.integers([0, -1])]), dims };
  },
};
