import { float, int, ints } from '@hotloop/model/onnx/graph-builder.ts';
import { floatAttribute, intAttribute } from '@hotloop/model/onnx/node-attributes.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import type { GradientContext, GradientRule, GradientWriter } from '../gradient-writer.ts';

/**
 * Y = alpha A' B' + beta C, where A' is A or its transpose. dA' = alpha dY B'^T, dB' = alpha A'^T dY, dC = beta dY
 * summed over what C was repeated along; a transposed operand's gradient is written transposed.
 */
export const gemm: GradientRule = ({ node, writer, gradient, needs }) => {
  const [a, b, c] = node.inputs as [string, string, string | undefined];
  const transA = intAttribute(node, 'transA', 0);
  const transB = intAttribute(node, 'transB', 0);
  const alpha = float(floatAttribute(node, 'alpha', 1));
  const product = (left: string, right: string, flipLeft: number, flipRight: number) =>
    writer.op('Gemm', [left, right], { alpha, transA: int(flipLeft), transB: int(flipRight) });
  const byA = () => (transA ? product(b, gradient, transB, 1) : product(gradient, b, 0, 1 - transB));
  const byB = () => (transB ? product(gradient, a, 1, transA) : product(a, gradient, 1 - transA, 0));
  const byC = () => {
    const sum = writer.reduceTo(gradient, node.outputs[0]!, c!);
    const beta = floatAttribute(node, 'beta', 1);
    return beta === 1 ? sum : writer.op('Mul', [sum, writer.scalar(beta)]);
  };
  return [needs(0) ? byA() : null, needs(1) ? byB() : null, c && needs(2) ? byC() : null];
};

/** Y = A B over the last two axes, leading axes broadcast. dA = dY B^T, dB = A^T dY, summed over repeated axes. */
export const matMul: GradientRule = (context) => {
  const { node, writer, gradient, needs } = context;
  const [a, b] = node.inputs as [string, string];
  const rankA = rankOf(context, a);
  const rankB = rankOf(context, b);
  if (rankA === 2 && rankB === 2) return plainProduct(context, a, b);
  if (rankA > 2 && rankB === 2) return sharedMatrix(context, a, b);

  // A vector takes part as a matrix of one row (left) or one column (right).
  const left = rankA === 1 ? writer.op('Unsqueeze', [a, writer.integers([0])]) : a;
  const right = rankB === 1 ? writer.op('Unsqueeze', [b, writer.integers([1])]) : b;
  let grown = gradient;
  if (rankB === 1) grown = writer.op('Unsqueeze', [grown, writer.integers([-1])]);
  if (rankA === 1) grown = writer.op('Unsqueeze', [grown, writer.integers([-2])]);
  const byLeft = () => writer.op('MatMul', [grown, swapLast(writer, right, Math.max(rankB, 2))]);
  const byRight = () => writer.op('MatMul', [swapLast(writer, left, Math.max(rankA, 2)), grown]);
  return [
    needs(0) ? fold(writer, byLeft(), left, a) : null,
    needs(1) ? fold(writer, byRight(), right, b) : null,
  ];
};

/** Sums a gradient over the broadcast batch axes of `grown` and gives it the shape of the original operand. */
function fold(writer: GradientWriter, gradient: string, grown: string, operand: string): string {
  const summed = writer.reduceWhenRun(gradient, grown);
  return grown === operand ? summed : writer.reshapeLike(summed, operand);
}

function plainProduct({ writer, gradient, needs }: GradientContext, a: string, b: string): (string | null)[] {
  return [
    needs(0) ? writer.op('Gemm', [gradient, b], { transB: int(1) }) : null,
    needs(1) ? writer.op('Gemm', [a, gradient], { transA: int(1) }) : null,
  ];
}

/** A [..., K] times one matrix [K, M]: the leading axes are rows of one big product. */
function sharedMatrix(
  { node, writer, gradient, needs }: GradientContext,
  a: string,
  b: string,
): (string | null)[] {
  const asRows = (value: string, of: string) => {
    const width = writer.op('Slice', [
      writer.shapeTensor(of),
      writer.integers([-1]),
      writer.integers([2 ** 31]),
    ]);
    return writer.op('Reshape', [
      value,
      writer.op('Concat', [writer.integers([-1]), width], { axis: int(0) }),
    ]);
  };
  const byB = () => writer.op('Gemm', [asRows(a, a), asRows(gradient, node.outputs[0]!)], { transA: int(1) });
  return [needs(0) ? writer.op('MatMul', [gradient, swapLast(writer, b, 2)]) : null, needs(1) ? byB() : null];
}

function swapLast(writer: GradientWriter, value: string, rank: number): string {
  const order = Array.from({ length: rank }, (_, axis) => axis);
  [order[rank - 2], order[rank - 1]] = [rank - 1, rank - 2];
  return writer.op('Transpose', [value], { perm: ints(order) });
}

function rankOf({ node, writer }: GradientContext, name: string): number {
  const rank = writer.shapeOf(name)?.length;
  if (rank === undefined) {
    throw unsound(
      `the rank of ${quoted(name)} at node ${quoted(node.name)} (MatMul) is not known, so its gradient cannot be ` +
        'written; export the model with the shapes of its inputs',
    );
  }
  return rank;
}
