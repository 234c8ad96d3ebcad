import { int } from '@hotloop/model/onnx/graph-builder.ts';
import { intAttribute, intsAttribute } from '@hotloop/model/onnx/node-attributes.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import { floatTensor, type GradientContext, type GradientRule } from '../gradient-writer.ts';
import { spatialShape, spread, windowAttributes, windowOf } from './window.ts';

/** MaxPool: the gradient goes back to the element that each window found the largest. */
export const maxPool: GradientRule = ({ node, writer, gradient }) => {
  if (intAttribute(node, 'storage_order', 0) === 1) throw refused(node, 'storage_order 1');
  return [writer.scatterTo(node.inputs[0]!, writer.outputOf(node.outputs[0]!, 1), gradient)];
};

/** AveragePool: each window's gradient, divided by how many elements it averaged, spread over the window. */
export const averagePool: GradientRule = (context) => {
  const { node, writer, gradient } = context;
  const x = node.inputs[0]!;
  if (intAttribute(node, 'ceil_mode', 0) === 1) throw refused(node, 'ceil_mode 1');
  const window = windowOf(context, intsAttribute(node, 'kernel_shape') ?? [], x);
  const area = window.kernel.reduce((a, b) => a * b, 1);
  const kernel = writer.constant(
    'window',
    floatTensor(writer.floatType, new Float64Array(area).fill(1), [1, 1, ...window.kernel]),
  );
  // Channels do not meet: each is an example of one channel.
  const shape = writer.op('Concat', [writer.integers([-1, 1]), spatialShape(writer, node.outputs[0]!)], {
    axis: int(0),
  });
  const rows = writer.op('Reshape', [gradient, shape]);
  const isWhole = intAttribute(node, 'count_include_pad', 0) === 1 || window.pads.every((pad) => pad === 0);
  const lead = writer.op('Concat', [writer.integers([1, 1]), spatialShape(writer, x)], { axis: int(0) });
  const count = () => {
    const ones = writer.op('Expand', [writer.scalar(1), lead]);
    return writer.op('Conv', [ones, kernel], windowAttributes(window));
  };
  const share = writer.op('Div', [rows, isWhole ? writer.scalar(area) : count()]);
  return [writer.reshapeLike(spread(writer, { gradient: share, kernel, wide: x, group: 1 }, window), x)];
};

/** GlobalAveragePool: every element has the same share of its channel's gradient. */
export const globalAveragePool: GradientRule = ({ node, writer, gradient }) => {
  const sizes = [node.inputs[0]!, node.outputs[0]!].map((name) => writer.op('Size', [name]));
  const count = writer.op('CastLike', [writer.op('Div', sizes), gradient]);
  const share = writer.op('Div', [gradient, count]);
  return [writer.op('Expand', [share, writer.shapeTensor(node.inputs[0]!)])];
};

function refused(node: GradientContext['node'], what: string): Error {
  return unsound(
    `cannot train through node ${quoted(node.name || node.outputs[0]!)} of type ${quoted(node.operator)} with ${what}`,
  );
}
