import { int } from '@hotloop/model/onnx/graph-builder.ts';
import { intAttribute, intsAttribute } from '@hotloop/model/onnx/node-attributes.ts';
import { elementTypeCode } from '@hotloop/model/onnx/tensor.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import type { GradientContext, GradientRule } from '../gradient-writer.ts';

/** A sum's gradient is its output's gradient, repeated along the axes that were summed. */
export const reduceSum: GradientRule = (context) => [repeated(context), null];

/** A mean's gradient is the sum's, divided by how many elements each mean took. */
export const reduceMean: GradientRule = (context) => {
  const { node, writer } = context;
  const sizes = [node.inputs[0]!, node.outputs[0]!].map((name) => writer.op('Size', [name]));
  const count = writer.op('Cast', [writer.op('Div', sizes)], { to: int(elementTypeCode(writer.floatType)) });
  return [writer.op('Div', [repeated(context), count]), null];
};

function repeated({ node, writer, gradient }: GradientContext): string {
  const x = node.inputs[0]!;
  const axes = reducedAxes({ node, writer });
  const isIdentity = axes.length === 0 && intAttribute(node, 'noop_with_empty_axes', 0) === 1;
  if (isIdentity) return gradient;
  const keepsAxes = intAttribute(node, 'keepdims', 1) === 1;
  // Without axes everything was summed: one number, which broadcasts by itself.
  const aligned =
    keepsAxes || axes.length === 0 ? gradient : writer.op('Unsqueeze', [gradient, writer.integers(axes)]);
  return writer.op('Expand', [aligned, writer.shapeTensor(x)]);
}

/** Axes are an attribute in older operator sets and an input in newer ones, which must be constant here. */
function reducedAxes({ node, writer }: Pick<GradientContext, 'node' | 'writer'>): readonly number[] {
  const name = node.inputs[1];
  if (!name) return intsAttribute(node, 'axes') ?? [];
  const constant = writer.constantOf(name);
  if (!(constant?.data instanceof BigInt64Array)) {
    throw unsound(
      `the axes of node ${quoted(node.name)} (${node.operator}) are computed; they must be constant`,
    );
  }
  return Array.from(constant.data, Number);
}

/** The gradient of a largest (or smallest) element goes to where it was found, in equal shares where several were. */
export const reduceExtreme: GradientRule = (context) => {
  const { node, writer, gradient } = context;
  const x = node.inputs[0]!;
  const isFound = writer.op('Equal', [x, repeated({ ...context, gradient: node.outputs[0]! })]);
  const found = writer.op('CastLike', [isFound, gradient]);
  const axes = reducedAxes(context);
  if (axes.length === 0 && intAttribute(node, 'noop_with_empty_axes', 0) === 1) return [gradient, null];
  const count =
    axes.length === 0 ? writer.op('ReduceSum', [found], { keepdims: int(1) }) : writer.sum(found, axes, true);
  return [writer.op('Div', [writer.op('Mul', [repeated(context), found]), count]), null];
};
