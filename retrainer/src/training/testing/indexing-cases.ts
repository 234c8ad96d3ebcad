import { int } from '@hotloop/model/onnx/graph-builder.ts';
import { float32Tensor, int64Tensor } from '@hotloop/model/onnx/tensor.ts';
import type { OperatorCase, RandomGraph } from './random-graph.ts';

const extreme =
  (operator: 'Max' | 'Min'): OperatorCase =>
  (g) => {
    const { a, b, result } = g.broadcastPair();
    const inputs = [g.hidden(g.weight(a), a), g.hidden(g.weight(b), b)];
    if (g.chance()) inputs.push(g.weight(result));
    return { value: g.graph.node(operator, inputs), dims: result };
  };

const axisOf = (g: RandomGraph, rank: number) => {
  const axis = g.random.integer(rank);
  return { axis, written: g.chance() ? axis : axis - rank };
};

/** Cases of the operators that pick, repeat or choose elements. */
export const indexingCases = {
  Expand: (g) => {
    const { a, result } = g.broadcastPair();
    return { value: g.graph.node('Expand', [g.hidden(g.weight(a), a), g.integers(result)]), dims: result };
  },
  Gather: (g) => {
    const dims = g.shape(1, 3);
    const { axis, written } = axisOf(g, dims.length);
    const picked = g.shape(0, 2);
    const size = dims[axis]!;
    const count = picked.reduce((x, y) => x * y, 1);
    const rows = Array.from({ length: count }, () => g.random.integer(2 * size) - size);
    const indices = g.graph.constant('rows', int64Tensor(rows, picked));
    const value = g.graph.node('Gather', [g.hidden(g.weight(dims), dims), indices], { axis: int(written) });
    return { value, dims: [...dims.slice(0, axis), ...picked, ...dims.slice(axis + 1)] };
  },
  Max: extreme('Max'),
  Min: extreme('Min'),
  Pad: (g) => {
    const dims = g.shape(1, 3).map((dim) => dim + 1);
    const mode = g.pick(['constant', 'edge', 'reflect']);
    const pads = [...dims, ...dims].map((dim) => Math.min(g.random.integer(3), dim - 1));
    const attributes = { mode: { kind: 'string', value: mode } } as const;
    const value = g.graph.node('Pad', [g.hidden(g.weight(dims), dims), g.integers(pads)], attributes);
    return { value, dims: dims.map((dim, i) => dim + pads[i]! + pads[i + dims.length]!) };
  },
  Slice: (g) => {
    const dims = g.shape(1, 4).map((dim) => dim + 1);
    const axes = [...dims.keys()].filter(() => g.chance(0.7));
    const steps = axes.map(() => g.pick([1, 1, 2, -1]));
    const starts = axes.map((axis, i) => (steps[i]! < 0 ? dims[axis]! - 1 : g.random.integer(dims[axis]!)));
    const ends = axes.map((axis, i) => (steps[i]! < 0 ? -dims[axis]! - 1 : dims[axis]!));
    const result = dims.map((dim, axis) => {
      const i = axes.indexOf(axis);
      return i < 0 || steps[i]! < 0 ? dim : Math.ceil((dim - starts[i]!) / steps[i]!);
    });
    if (axes.length === 0) return { value: g.graph.node('Identity', [g.weight(dims)]), dims };
    const steering = [starts, ends, axes, steps].map((values) => g.integers(values));
    return { value: g.graph.node('Slice', [g.hidden(g.weight(dims), dims), ...steering]), dims: result };
  },
  Split: (g) => {
    const dims = g.shape(1, 3);
    const { axis, written } = axisOf(g, dims.length);
    const sizes = [g.size(), g.size(), g.size()];
    const whole = dims.with(
      axis,
      sizes.reduce((x, y) => x + y, 0),
    );
    const parts = g.graph.nodeOf('Split', [g.hidden(g.weight(whole), whole), g.integers(sizes)], 3, {
      axis: int(written),
    });
    // The middle part is read twice, the first perhaps not at all.
    const read = g.chance() ? [parts[1]!, parts[2]!, parts[1]!] : [parts[0]!, parts[1]!, parts[2]!];
    const total = read.reduce((sum, part) => sum + sizes[parts.indexOf(part)]!, 0);
    return { value: g.graph.node('Concat', read, { axis: int(axis) }), dims: dims.with(axis, total) };
  },
  Where: (g) => {
    const { a, b, result } = g.broadcastPair();
    const signs = g.graph.constant(
      'signs',
      float32Tensor(g.values(1 + result.reduce((x, y) => x * y, 1)).slice(1), result),
    );
    const zero = g.graph.node('Sub', [signs, signs]);
    const condition = g.graph.node('Greater', [signs, zero]);
    return { value: g.graph.node('Where', [condition, g.hidden(g.weight(a), a), g.weight(b)]), dims: result };
  },
} as const satisfies Readonly<Record<string, OperatorCase>>;
