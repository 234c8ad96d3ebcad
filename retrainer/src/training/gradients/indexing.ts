import { int } from '@hotloop/model/onnx/graph-builder.ts';
import { intAttribute } from '@hotloop/model/onnx/node-attributes.ts';
import type { GradientRule } from '../gradient-writer.ts';

// Operators that pick elements. What an operator picks is found by giving it the numbers of the elements instead of
// the elements; the gradient is added up at those numbers.

/** Gather along an axis. Rows of a table (axis 0, as embeddings are read) are added up row by row. */
export const gather: GradientRule = ({ node, writer, gradient }) => {
  const [table, indices] = node.inputs as [string, string];
  const axis = intAttribute(node, 'axis', 0);
  if (axis !== 0) {
    const numbers = writer.op('Gather', [writer.elementNumbers(table), indices], { axis: int(axis) });
    return [writer.scatterTo(table, numbers, gradient), null];
  }
  const column = writer.op('Reshape', [indices, writer.integers([-1, 1])]);
  const rowShape = writer.op('Slice', [
    writer.shapeTensor(table),
    writer.integers([1]),
    writer.integers([2 ** 31]),
  ]);
  const count = writer.op('Reshape', [writer.op('Size', [indices]), writer.integers([1])]);
  const rows = writer.op('Reshape', [gradient, writer.op('Concat', [count, rowShape], { axis: int(0) })]);
  const wide = writer.op('Cast', [column], { to: int(7) });
  const sums = writer.op('ScatterND', [writer.zerosLike(table), wide, rows], {
    reduction: { kind: 'string', value: 'add' },
  });
  return [sums, null];
};

/** Slice: no element is picked twice. */
export const slice: GradientRule = ({ node, writer, gradient }) => {
  const [x, ...steering] = node.inputs as [string, ...string[]];
  const numbers = writer.op('Slice', [writer.elementNumbers(x), ...steering]);
  return [writer.scatterTo(x, numbers, gradient)];
};

/** Pad: of what was added, constants have no gradient; mirrored and repeated elements have that of where they came from. */
export const pad: GradientRule = ({ node, writer, gradient }) => {
  const [x, pads, , axes] = node.inputs as [string, string, string | undefined, string | undefined];
  // Element numbers from 1: what is padded with a constant gets number 0, which is cut off again.
  const one = writer.scalarInteger(1);
  const numbers = writer.op('Add', [writer.elementNumbers(x), one]);
  const padding = [numbers, pads, ...(axes ? ['', axes] : [])];
  const mode = node.attributes.get('mode');
  const picked = writer.op('Pad', padding, mode ? { mode } : {});
  const flat = (value: string) => writer.op('Reshape', [value, writer.integers([-1])]);
  const size = writer.op('Reshape', [writer.op('Add', [writer.op('Size', [x]), one]), writer.integers([1])]);
  const sums = writer.op('ScatterElements', [writer.zeros(size), flat(picked), flat(gradient)], {
    axis: int(0),
    reduction: { kind: 'string', value: 'add' },
  });
  const own = writer.op('Slice', [sums, writer.integers([1]), writer.integers([2 ** 31])]);
  return [writer.reshapeLike(own, x)];
};

/** Split is undone by putting the gradients of the parts together; parts the loss does not depend on are 0. */
export const split: GradientRule = ({ node, writer, gradients }) => {
  const parts = node.outputs.map(
    (_, i) => gradients[i] ?? writer.zerosLike(writer.outputOf(node.outputs[0]!, i)),
  );
  return [writer.op('Concat', parts, { axis: int(intAttribute(node, 'axis', 0)) })];
};

/** Expand repeats its input: the gradient is summed over what was repeated. */
export const expand: GradientRule = ({ node, writer, gradient }) => [
  writer.reduceTo(gradient, node.outputs[0]!, node.inputs[0]!),
  null,
];

/** y = condition ? a : b */
export const where: GradientRule = ({ node, writer, gradient, needs }) => {
  const [condition, a, b] = node.inputs as [string, string, string];
  const zero = writer.scalar(0);
  const pass = (values: string[], operand: string) =>
    writer.reduceTo(writer.op('Where', [condition, ...values]), node.outputs[0]!, operand);
  return [null, needs(1) ? pass([gradient, zero], a) : null, needs(2) ? pass([zero, gradient], b) : null];
};

/** Min and Max of several values: the gradient goes to the one that won, in equal shares where several did. */
export const extreme: GradientRule = ({ node, writer, gradient, needs }) => {
  const y = node.outputs[0]!;
  if (node.inputs.length === 1) return [gradient];
  const wins = node.inputs.map((x) => writer.op('CastLike', [writer.op('Equal', [x, y]), gradient]));
  const winners = wins.reduce((a, b) => writer.op('Add', [a, b]));
  const share = writer.op('Div', [gradient, winners]);
  return node.inputs.map((x, i) =>
    needs(i) ? writer.reduceTo(writer.op('Mul', [share, wins[i]!]), y, x) : null,
  );
};
