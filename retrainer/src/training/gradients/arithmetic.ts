import { int } from '@hotloop/model/onnx/graph-builder.ts';
import { elementTypeCode } from '@hotloop/model/onnx/tensor.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import type { GradientContext, GradientRule } from '../gradient-writer.ts';

/** Gradients of two operands that were broadcast together: each is summed over what its operand was repeated along. */
function pairwise({ node, writer, needs }: GradientContext, byFirst: () => string, bySecond: () => string) {
  const result = node.outputs[0]!;
  return [
    needs(0) ? writer.reduceTo(byFirst(), result, node.inputs[0]!) : null,
    needs(1) ? writer.reduceTo(bySecond(), result, node.inputs[1]!) : null,
  ];
}

/** d(a + b) = da + db */
export const add: GradientRule = (context) =>
  pairwise(
    context,
    () => context.gradient,
    () => context.gradient,
  );

/** d(a - b) = da - db */
export const sub: GradientRule = (context) =>
  pairwise(
    context,
    () => context.gradient,
    () => context.writer.op('Neg', [context.gradient]),
  );

/** d(ab) = b da + a db */
export const mul: GradientRule = (context) => {
  const { node, writer, gradient } = context;
  return pairwise(
    context,
    () => writer.op('Mul', [gradient, node.inputs[1]!]),
    () => writer.op('Mul', [gradient, node.inputs[0]!]),
  );
};

/** d(a / b) = da / b - (a / b) db / b */
export const div: GradientRule = (context) => {
  const { node, writer, gradient } = context;
  const quotient = node.outputs[0]!;
  return pairwise(
    context,
    () => writer.op('Div', [gradient, node.inputs[1]!]),
    () => writer.op('Neg', [writer.op('Div', [writer.op('Mul', [gradient, quotient]), node.inputs[1]!])]),
  );
};

/** d(-x) = -dx */
export const neg: GradientRule = ({ writer, gradient }) => [writer.op('Neg', [gradient])];

/** d exp(x) = exp(x) dx */
export const exp: GradientRule = ({ node, writer, gradient }) => [
  writer.op('Mul', [gradient, node.outputs[0]!]),
];

/** d log(x) = dx / x */
export const log: GradientRule = ({ node, writer, gradient }) => [
  writer.op('Div', [gradient, node.inputs[0]!]),
];

/** d (1 / x) = -dx / x^2 */
export const reciprocal: GradientRule = ({ node, writer, gradient }) => {
  const y = node.outputs[0]!;
  return [writer.op('Neg', [writer.op('Mul', [gradient, writer.op('Mul', [y, y])])])];
};

/** d sqrt(x) = dx / (2 sqrt(x)) */
export const sqrt: GradientRule = ({ node, writer, gradient }) => {
  const half = writer.op('Mul', [gradient, writer.scalar(0.5)]);
  return [writer.op('Div', [half, node.outputs[0]!])];
};

/** d x^c = c x^(c-1) dx for a constant exponent c. */
export const pow: GradientRule = (context) => {
  const { node, writer, gradient, needs } = context;
  const [base, exponent] = node.inputs as [string, string];
  if (needs(1)) {
    throw unsound(
      `the exponent of node ${quoted(node.name)} (Pow) depends on trained weights; it must be a constant`,
    );
  }
  const type = elementTypeCode(writer.floatType);
  const c = writer.op('Cast', [exponent], { to: int(type) });
  const power = writer.op('Pow', [base, writer.op('Sub', [c, writer.scalar(1)])]);
  return [
    writer.reduceTo(writer.op('Mul', [gradient, writer.op('Mul', [c, power])]), node.outputs[0]!, base),
    null,
  ];
};

/** d |x| = sign(x) dx */
export const abs: GradientRule = ({ node, writer, gradient }) => [
  writer.op('Mul', [gradient, writer.op('Sign', [node.inputs[0]!])]),
];

/** Inside its bounds, Clip passes the gradient; outside it passes nothing. */
export const clip: GradientRule = ({ node, writer, gradient }) => {
  const [x, min, max] = node.inputs as [string, string | undefined, string | undefined];
  const passWhere = (isInside: string, passed: string) =>
    writer.op('Where', [isInside, passed, writer.scalar(0)]);
  const aboveMin = min ? passWhere(writer.op('GreaterOrEqual', [x, min]), gradient) : gradient;
  const belowMax = max ? passWhere(writer.op('LessOrEqual', [x, max]), aboveMin) : aboveMin;
  return [belowMax, null, null];
};
