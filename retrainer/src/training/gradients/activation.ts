import { floatAttribute, intAttribute } from '@hotloop/model/onnx/node-attributes.ts';
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
export const cast: GradientRule = ({ node, writer, gradient }) => [
  writer.op('CastLike', [gradient, node.inputs[0]!]),
];

/** PRelu: y = x where x > 0, slope x elsewhere: dx = dy or slope dy, dslope = x dy where x <= 0 */
export const pRelu: GradientRule = ({ node, writer, gradient, needs }) => {
  const [x, slope] = node.inputs as [string, string];
  const zero = writer.scalar(0);
  const isPositive = writer.op('Greater', [x, zero]);
  const byX = () => writer.op('Where', [isPositive, gradient, writer.op('Mul', [gradient, slope])]);
  const bySlope = () => writer.op('Where', [isPositive, zero, writer.op('Mul', [gradient, x])]);
  return [needs(0) ? byX() : null, needs(1) ? writer.reduceTo(bySlope(), node.outputs[0]!, slope) : null];
};

/** y = alpha (exp(x) - 1) where x <= 0: dx = dy (y + alpha) there, dy elsewhere */
export const elu: GradientRule = ({ node, writer, gradient }) => {
  const slope = writer.op('Add', [node.outputs[0]!, writer.scalar(floatAttribute(node, 'alpha', 1))]);
  const isPositive = writer.op('Greater', [node.inputs[0]!, writer.scalar(0)]);
  return [writer.op('Where', [isPositive, gradient, writer.op('Mul', [gradient, slope])])];
};

/** y = max(0, min(1, alpha x + beta)): dx = alpha dy where 0 < y < 1 */
export const hardSigmoid: GradientRule = ({ node, writer, gradient }) => {
  const y = node.outputs[0]!;
  const inside = writer.op('And', [
    writer.op('Greater', [y, writer.scalar(0)]),
    writer.op('Less', [y, writer.scalar(1)]),
  ]);
  const scaled = writer.op('Mul', [gradient, writer.scalar(floatAttribute(node, 'alpha', 0.2))]);
  return [writer.op('Where', [inside, scaled, writer.scalar(0)])];
};

/** y = log(1 + exp(x)): dx = dy sigmoid(x) */
export const softplus: GradientRule = ({ node, writer, gradient }) => [
  writer.op('Mul', [gradient, writer.op('Sigmoid', [node.inputs[0]!])]),
];

/** d erf(x) = 2 / sqrt(pi) exp(-x^2) dx */
export const erf: GradientRule = ({ node, writer, gradient }) => {
  const x = node.inputs[0]!;
  const bell = writer.op('Exp', [writer.op('Neg', [writer.op('Mul', [x, x])])]);
  return [writer.op('Mul', [gradient, writer.op('Mul', [bell, writer.scalar(2 / Math.sqrt(Math.PI))])])];
};

/**
 * Gelu: y = x F(x), F the normal distribution: dx = dy (F(x) + x f(x)). With `approximate: tanh`,
 * y = x (1 + t) / 2, t = tanh(u), u = c (x + 0.044715 x^3): dx = dy ((1 + t) / 2 + x (1 - t^2) u' / 2).
 */
export const gelu: GradientRule = ({ node, writer, gradient }) => {
  const x = node.inputs[0]!;
  const [half, one] = [writer.scalar(0.5), writer.scalar(1)];
  const mul = (...values: string[]) => values.reduce((a, b) => writer.op('Mul', [a, b]));
  const approximate = node.attributes.get('approximate');
  if (approximate?.kind === 'string' && approximate.value === 'tanh') {
    const c = writer.scalar(Math.sqrt(2 / Math.PI));
    const square = mul(x, x);
    const cubic = mul(square, writer.scalar(0.044715));
    const t = writer.op('Tanh', [mul(c, x, writer.op('Add', [cubic, one]))]);
    const slope = mul(c, writer.op('Add', [mul(cubic, writer.scalar(3)), one]));
    const bend = mul(x, writer.op('Sub', [one, mul(t, t)]), slope);
    return [mul(gradient, half, writer.op('Add', [writer.op('Add', [t, one]), bend]))];
  }
  const distribution = mul(
    half,
    writer.op('Add', [writer.op('Erf', [mul(x, writer.scalar(Math.SQRT1_2))]), one]),
  );
  const density = mul(
    writer.op('Exp', [mul(writer.scalar(-0.5), x, x)]),
    writer.scalar(1 / Math.sqrt(2 * Math.PI)),
  );
  return [mul(gradient, writer.op('Add', [distribution, mul(x, density)]))];
};

/**
 * A trained model serves without dropout, and fine-tuning keeps to the function that is served. Where the graph itself
 * asks for dropout (its training_mode input), the gradient passes where the mask let the value pass.
 */
export const dropout: GradientRule = ({ node, writer, gradient }) => {
  const [, ratio, mode] = node.inputs;
  const isOff = !mode || writer.constantOf(mode)?.data[0] === 0;
  if (isOff) return [gradient, null, null];
  const mask = writer.op('CastLike', [writer.outputOf(node.outputs[0]!, 1), gradient]);
  const rate = ratio ? writer.op('CastLike', [ratio, gradient]) : writer.scalar(0.5);
  const kept = writer.op('Where', [mode, writer.op('Sub', [writer.scalar(1), rate]), writer.scalar(1)]);
  return [writer.op('Div', [writer.op('Mul', [gradient, mask]), kept]), null, null];
};
