import { int, ints } from '@hotloop/model/onnx/graph-builder.ts';
import { intAttribute, intsAttribute } from '@hotloop/model/onnx/node-attributes.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import type { GradientRule } from '../gradient-writer.ts';

/** Reshape, Flatten, Squeeze and Unsqueeze move no element: the gradient takes the input's shape back. */
export const reshaped: GradientRule = ({ node, writer, gradient }) => [
  writer.reshapeLike(gradient, node.inputs[0]!),
  null,
];

/** A transpose is undone by the inverse order of axes; without an order, axes are reversed. */
export const transpose: GradientRule = ({ node, writer, gradient }) => {
  const order = intsAttribute(node, 'perm');
  if (!order) return [writer.op('Transpose', [gradient])];
  return [writer.op('Transpose', [gradient], { perm: ints(order.map((_, axis) => order.indexOf(axis))) })];
};

/** Concat is undone by cutting the gradient where the inputs met. */
export const concat: GradientRule = ({ node, writer, gradient, needs }) => {
  if (!node.attributes.has('axis')) throw unsound(`node ${quoted(node.name)} (Concat) names no axis`);
  const axis = intAttribute(node, 'axis', 0);
  const inputs = node.inputs;
  if (inputs.length === 1) return [gradient];
  const sizes = inputs.map((input) =>
    writer.op('Gather', [writer.shapeTensor(input), writer.integers([axis])]),
  );
  const cuts = writer.op('Concat', sizes, { axis: int(0) });
  const parts = writer.opOf('Split', [gradient, cuts], inputs.length, { axis: int(axis) });
  return parts.map((part, i) => (needs(i) ? part : null));
};
