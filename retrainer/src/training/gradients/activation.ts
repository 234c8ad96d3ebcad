import { floatAttribute, intAttribute } from '@hotloop/model/onnx/node-attributes.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import type { GradientRule } from '../gradient-writer.ts';

/** Relu passes the gradient where x > 0. */
export const relu: GradientRule = ({ node, writer, gradient }) => {
  const zero = writer.scalar(0);
  return [writer.op('Where', [writer.op('Greater', [node.inputs[0]!, zero]), gradient, zero])];
};

/** LeakyRelu passes the gradient where x > 0, and alpha times it elsewhere. */
export const leakyRelu: GradientRule = ({ node, writer, gradient }) => {
  const scaled = writer.op('Mul', [gradient, writer.scalar(floatAttribute(node, 'alpha', 0.01))]);
  const isPositive = writer.op('Greater', [node.inputs[0]!, writer.scalar(0)]);
  return [writer.op('Where', [isPositive, gradient, scaled])];
};

/** y = sigmoid(x): dx = dy y (1 - y) */
export const sigmoid: GradientRule = ({ node, writer, gradient }) => {
  const y = node.outputs[0]!;
  const slope = writer.op('Mul', [y, writer.op('Sub', [writer.scalar(1), y])]);
  return [writer.op('Mul', [gradient, slope])];
};

/** y = tanh(x): dx = dy (1 - y^2) */
export const tanh: GradientRule = ({ node, writer, gradient }) => {
  const y = node.outputs[0]!;
  const slope = writer.op('Sub', [writer.scalar(1), writer.op('Mul', [y, y])]);
  return [writer.op('Mul', [gradient, slope])];
};

/** y = softmax(x) along an axis: dx = y (dy - sum(y dy)) */
export const softmax: GradientRule = ({ node, writer, gradient }) => {
  const y = node.outputs[0]!;
  const total = writer.sum(writer.op('Mul', [gradient, y]), [intAttribute(node, 'axis', -1)], true);
  return [writer.op('Mul', [y, writer.op('Sub', [gradient, total])])];
};

/** y = log softmax(x) along an axis: dx = dy - exp(y) sum(dy) */
export const logSoftmax: GradientRule = ({ node, writer, gradient }) => {
  const total = writer.sum(gradient, [intAttribute(node, 'axis', -1)], true);
  const share = writer.op('Mul', [writer.op('Exp', [node.outputs[0]!]), total]);
  return [writer.op('Sub', [gradient, share])];
};

/** A named identity so that the table can say which operators only rename their input. */
export const identity: GradientRule = ({ gradient }) => [gradient, null, null];

/** Cast between floating point types: the gradient goes back in the type that came in. */
export const cast: GradientRule = ({ node, writer, gradient }) => {
  if (writer.opset < 15) {
    throw unsound(
      `training through node ${quoted(node.name)} (Cast) needs operator set 15 or newer; export the model again`,
    );
  }
  return [writer.op('CastLike', [gradient, node.inputs[0]!])];
};
