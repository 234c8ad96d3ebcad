import { type Attributes, float, int, ints } from '@hotloop/model/onnx/graph-builder.ts';
import { elementCount } from '@hotloop/model/onnx/tensor.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GradientRule } from '../gradient-writer.ts';
import { checkGradient, type GradientCheck } from '../testing/check-gradient.ts';
import { RandomGraph } from '../testing/random-graph.ts';
import { DIFFERENTIABLE, type DifferentiableOperator, gradientRuleOf } from './gradient-rules.ts';

const tolerance = 1e-5;
const runs = 12;

/** Writes one operator on random shapes. @returns its result's name and shape, and the operator set to use. */
type OperatorCase = (g: RandomGraph) => { value: string; dims: readonly number[]; opset?: number };

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
  (operator: 'ReduceSum' | 'ReduceMean'): OperatorCase =>
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
const cases: Readonly<Record<DifferentiableOperator, OperatorCase>> = {
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
  Unsqueeze: (g) => {
    const dims = g.shape(1, 3);
    return { value: g.graph.node('Unsqueeze', [g.weight(dims), g.integers([0, -1])]), dims };
  },
};

async function check(
  write: OperatorCase,
  seed: number,
  ruleOf?: (domain: string, operator: string) => GradientRule | undefined,
): Promise<GradientCheck> {
  const g = new RandomGraph(seed);
  const { value, dims, opset } = write(g);
  const count = elementCount(dims);
  const model = g.finish(value, opset);
  const labels = g.values(count);
  const weights = g.values(count, 'positive');
  return checkGradient(model, { loss: 'mean_squared_error', labels, weights, ...(ruleOf ? { ruleOf } : {}) });
}

describe('the gradient rule of', () => {
  it.each(DIFFERENTIABLE)('%s agrees with central differences on random shapes', async (operator) => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0 }), async (seed) => {
        const { worst, at, checked, kinks } = await check(cases[operator], seed);
        expect(worst, `at ${at}`).toBeLessThanOrEqual(tolerance);
        expect(checked).toBeGreaterThan(9 * kinks);
      }),
      { numRuns: runs },
    );
  });
});

describe('the gradient checker', () => {
  /** Each right rule with a fault such as people make: a scaled, negated, or shifted gradient. */
  const faults: Readonly<Record<string, (g: Parameters<GradientRule>[0], right: string) => string>> = {
    'off by a factor of 1.0001': ({ writer }, right) => writer.op('Mul', [right, writer.scalar(1.0001)]),
    negated: ({ writer }, right) => writer.op('Neg', [right]),
    'off by a constant': ({ writer }, right) => writer.op('Add', [right, writer.scalar(1e-3)]),
  };

  it.each(Object.keys(faults))('catches a rule that is %s, whatever the operator', async (fault) => {
    for (const operator of DIFFERENTIABLE) {
      const wrong = (domain: string, name: string): GradientRule | undefined => {
        const right = gradientRuleOf(domain, name);
        if (!right || name !== operator) return right;
        return (context) => {
          // The last node, a Reshape too, only reads the result.
          if (context.node.outputs[0] === 'out') return right(context);
          return right(context).map((gradient) => gradient && faults[fault]!(context, gradient));
        };
      };
      // One graph may happen to have no gradient at all (all values clipped, Softmax of one element): six do not.
      const found = await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => check(cases[operator], seed, wrong)));
      expect(Math.max(...found.map(({ worst }) => worst)), operator).toBeGreaterThan(tolerance);
    }
  });
});
