import type { Dimension, OnnxGraph, OnnxNode } from '@hotloop/model/onnx/model.ts';
import { floatAttribute, intAttribute, intsAttribute } from '@hotloop/model/onnx/node-attributes.ts';
import type { OnnxTensor } from '@hotloop/model/onnx/tensor.ts';

/** A shape known before the graph runs: fixed sizes, named ones (the same name is the same size), unknown ones. */
export type Shape = readonly Dimension[];

/** @returns the shape of two shapes broadcast together (NumPy's rules, which ONNX follows). */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const left = i < rank - a.length ? 1 : a[i - (rank - a.length)]!;
    const right = i < rank - b.length ? 1 : b[i - (rank - b.length)]!;
    if (left === 1) return right;
    if (right === 1 || left === right) return left;
    // One is a fixed size above 1: the other must be that size too, or 1. A named one beside another is open.
    if (typeof left === 'number') return left;
    return typeof right === 'number' ? right : null;
  });
}

type ShapeRule = (node: OnnxNode, inputs: readonly (Shape | undefined)[]) => Shape | undefined;

const sameAsFirst: ShapeRule = (_node, [first]) => first;
const broadcast: ShapeRule = (_node, [a, b]) => a && b && broadcastShapes(a, b);

const gemm: ShapeRule = (node, [a, b]) => {
  const rows = a?.[intAttribute(node, 'transA', 0) ? 1 : 0];
  const columns = b?.[intAttribute(node, 'transB', 0) ? 0 : 1];
  // Two axes whatever is known of the operands.
  return [rows ?? null, columns ?? null];
};

const matrixProduct: ShapeRule = (_node, [a, b]) => {
  if (!a || !b || a.length === 0 || b.length === 0) return undefined;
  const batch = broadcastShapes(a.slice(0, -2), b.slice(0, -2));
  const rows = a.length > 1 ? [a.at(-2)!] : [];
  const columns = b.length > 1 ? [b.at(-1)!] : [];
  return [...batch, ...rows, ...columns];
};

const transpose: ShapeRule = (node, [x]) => {
  const order = intsAttribute(node, 'perm');
  return x && (order ? order.map((axis) => x[axis] ?? null) : x.toReversed());
};

const flatten: ShapeRule = (node, [x]) => {
  if (!x) return undefined;
  const axis = intAttribute(node, 'axis', 1);
  const split = axis < 0 ? axis + x.length : axis;
  const product = (dims: Shape): Dimension => {
    if (dims.every((dim) => typeof dim === 'number')) return dims.reduce((a, b) => a * b, 1);
    const rest = dims.filter((dim) => dim !== 1);
    return rest.length === 1 ? rest[0]! : null;
  };
  return [product(x.slice(0, split)), product(x.slice(split))];
};

const concat: ShapeRule = (node, inputs) => {
  const [first] = inputs;
  if (!first) return undefined;
  const given = intAttribute(node, 'axis', 0);
  const axis = given < 0 ? given + first.length : given;
  const sizes = inputs.map((shape) => shape?.[axis]);
  const isKnown = sizes.every((size) => typeof size === 'number');
  return first.with(axis, isKnown ? sizes.reduce((sum, size) => sum + size, 0) : null);
};

const gather: ShapeRule = (node, [data, indices]) => {
  if (!data || !indices) return undefined;
  const axis = intAttribute(node, 'axis', 0);
  return data.toSpliced(axis < 0 ? axis + data.length : axis, 1, ...indices);
};

/** How many axes there are, where nothing else is known of a shape. */
const rankOf: Readonly<Record<string, ShapeRule>> = {
  Reshape: (_node, [, shape]) =>
    typeof shape?.[0] === 'number' ? new Array<Dimension>(shape[0]).fill(null) : undefined,
};

/** Of the operators not named here, the shape is what the file tells; where it tells none, gradients read it when the graph runs. */
const rules: Readonly<Record<string, ShapeRule>> = {
  Abs: sameAsFirst,
  BatchNormalization: sameAsFirst,
  Elu: sameAsFirst,
  Erf: sameAsFirst,
  Gelu: sameAsFirst,
  HardSigmoid: sameAsFirst,
  LayerNormalization: sameAsFirst,
  PRelu: sameAsFirst,
  Reciprocal: sameAsFirst,
  Softplus: sameAsFirst,
  Add: broadcast,
  Cast: sameAsFirst,
  Clip: sameAsFirst,
  Concat: concat,
  Div: broadcast,
  Dropout: sameAsFirst,
  Exp: sameAsFirst,
  Flatten: flatten,
  Gather: gather,
  Gemm: gemm,
  Identity: sameAsFirst,
  LeakyRelu: sameAsFirst,
  Log: sameAsFirst,
  LogSoftmax: sameAsFirst,
  MatMul: matrixProduct,
  Mul: broadcast,
  Neg: sameAsFirst,
  Pow: broadcast,
  Relu: sameAsFirst,
  Sigmoid: sameAsFirst,
  Softmax: sameAsFirst,
  Sqrt: sameAsFirst,
  Sub: broadcast,
  Tanh: sameAsFirst,
  Transpose: transpose,
};

/** Of ONNX's operators for classical models: those that exporters of scikit-learn put before a network. */
const classicalRules: Readonly<Record<string, ShapeRule>> = {
  Binarizer: sameAsFirst,
  Imputer: sameAsFirst,
  Normalizer: sameAsFirst,
  Scaler: sameAsFirst,
};

const rulesOfDomain: Readonly<Record<string, typeof rules | undefined>> = {
  '': rules,
  'ai.onnx.ml': classicalRules,
};

/** Finds what shapes can be known before the graph runs. @returns them by value name; unknown ones are left out. */
export function inferShapes(graph: OnnxGraph): ReadonlyMap<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const { name, shape } of graph.inputs) if (shape) shapes.set(name, shape);
  for (const [name, tensor] of graph.initializers) shapes.set(name, tensor.dims);
  for (const node of graph.nodes) {
    const constant = constantOf(node);
    if (constant) shapes.set(node.outputs[0]!, constant.dims);
    for (const output of node.outputs) {
      const told = graph.told?.get(output);
      if (told && !shapes.has(output)) shapes.set(output, told);
    }
    const inputs = node.inputs.map((input) => shapes.get(input));
    const shape = rulesOfDomain[node.domain]?.[node.operator]?.(node, inputs);
    if (shape) shapes.set(node.outputs[0]!, shape);
    const rank = node.domain === '' ? rankOf[node.operator]?.(node, inputs) : undefined;
    if (rank && !shapes.has(node.outputs[0]!)) shapes.set(node.outputs[0]!, rank);
  }
  return shapes;
}

/** @returns the tensor of a `Constant` node, in whichever attribute it is written; undefined for other nodes. */
export function constantOf(node: OnnxNode): OnnxTensor | undefined {
  if (node.operator !== 'Constant' || node.domain !== '') return undefined;
  const [name, attribute] = [...node.attributes][0] ?? [];
  if (attribute?.kind === 'tensor') return attribute.value;
  if (name === 'value_float') {
    return { elementType: 'float32', dims: [], data: Float32Array.of(floatAttribute(node, name, 0)) };
  }
  if (attribute?.kind === 'floats') {
    return {
      elementType: 'float32',
      dims: [attribute.value.length],
      data: Float32Array.from(attribute.value),
    };
  }
  if (attribute?.kind === 'int')
    return { elementType: 'int64', dims: [], data: BigInt64Array.of(attribute.value) };
  if (attribute?.kind === 'ints') {
    return {
      elementType: 'int64',
      dims: [attribute.value.length],
      data: BigInt64Array.from(attribute.value),
    };
  }
  return undefined;
}
