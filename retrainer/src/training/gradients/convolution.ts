import { int, ints } from '@hotloop/model/onnx/graph-builder.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import type { GradientContext, GradientRule, GradientWriter } from '../gradient-writer.ts';
import { groupOf, spatialShape, spread, type Window, windowAttributes, windowOf, zeros } from './window.ts';

/**
 * Y[n, o, y] = sum X[n, i, s y + d k - p] W[o, i, k] + B[o]. dX is a transposed convolution of dY with W; dW a
 * convolution of X with dY in which examples and channels change places, and stride and dilation too.
 */
export const conv: GradientRule = (context) => {
  const { node, writer, gradient, needs } = context;
  const [x, w, b] = node.inputs as [string, string, string | undefined];
  const dims = kernelDims(context, w);
  const window = windowOf(context, dims.slice(2), x);
  const group = groupOf(node);
  return [
    needs(0) ? spread(writer, { gradient, kernel: w, wide: x, group }, window) : null,
    needs(1) ? kernelGradient(writer, { wide: x, narrow: gradient, group, dims }, window) : null,
    b && needs(2) ? overChannels(writer, gradient, dims.length) : null,
  ];
};

/** The transposed convolution is a convolution's gradient: X and Y change places. */
export const convTranspose: GradientRule = (context) => {
  const { node, writer, gradient, needs } = context;
  const [x, w, b] = node.inputs as [string, string, string | undefined];
  if (node.attributes.has('output_shape')) {
    throw unsound(
      `node ${quoted(node.name || node.outputs[0]!)} (ConvTranspose) declares output_shape; export it with explicit pads`,
    );
  }
  const dims = kernelDims(context, w);
  const window = windowOf(context, dims.slice(2), node.outputs[0]!);
  const group = groupOf(node);
  const attributes = { ...windowAttributes(window), group: int(group) };
  return [
    needs(0) ? writer.op('Conv', [gradient, w], attributes) : null,
    needs(1) ? kernelGradient(writer, { wide: gradient, narrow: x, group, dims }, window) : null,
    b && needs(2) ? overChannels(writer, gradient, dims.length) : null,
  ];
};

interface KernelUse {
  /** [N, group * I, ...]: what the window moves over. */
  readonly wide: string;
  /** [N, group * O, ...]: one element per place of the window. */
  readonly narrow: string;
  readonly group: number;
  /** [group * O, I, kernel] */
  readonly dims: readonly number[];
}

/** dW[o, i, k] = sum over n, y of wide[n, i, s y + d k - p] narrow[n, o, y] */
function kernelGradient(
  writer: GradientWriter,
  { wide, narrow, group, dims }: KernelUse,
  window: Window,
): string {
  const axes = dims.slice(2).map((_, i) => i + 2);
  const swap = (value: string) => writer.op('Transpose', [value], { perm: ints([1, 0, ...axes]) });
  const sums = writer.op(
    'Conv',
    group === 1 ? [swap(wide), swap(narrow)] : grouped(writer, { wide, narrow, group, dims }),
    {
      ...windowAttributes({ strides: window.dilations, dilations: window.strides, pads: window.pads }),
      group: int(group),
    },
  );
  // Where the window's stride left a rest at the end, the sums of places behind the kernel's are cut off.
  const isExact = window.strides.every((stride) => stride === 1);
  const cut = isExact
    ? sums
    : writer.op('Slice', [
        sums,
        writer.integers(zeros(axes.length)),
        writer.integers(dims.slice(2)),
        writer.integers(axes),
      ]);
  return swap(cut);
}

/** [N, g I, ...] -> [I, g N, ...] and [N, g O, ...] -> [g O, N, ...] */
function grouped(writer: GradientWriter, { wide, narrow, group, dims }: KernelUse): [string, string] {
  const axes = dims.slice(2).map((_, i) => i + 3);
  const apart = (value: string, perm: readonly number[], back: readonly number[]) => {
    const spatial = spatialShape(writer, value);
    const shaped = (of: string, lead: readonly number[]) =>
      writer.op('Reshape', [of, writer.op('Concat', [writer.integers(lead), spatial], { axis: int(0) })]);
    const turned = writer.op('Transpose', [shaped(value, [0, group, -1])], {
      perm: ints([...perm, ...axes]),
    });
    return shaped(turned, back);
  };
  return [apart(wide, [2, 1, 0], [0, -1]), apart(narrow, [1, 2, 0], [dims[0]!, -1])];
}

function overChannels(writer: GradientWriter, gradient: string, rank: number): string {
  return writer.sum(gradient, [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2)], false);
}

function kernelDims({ node, writer }: GradientContext, w: string): readonly number[] {
  const dims = writer.shapeOf(w);
  if (dims?.every((dim) => typeof dim === 'number')) return dims;
  throw unsound(
    `the shape of the kernel ${quoted(w)} at node ${quoted(node.name || node.outputs[0]!)} (${node.operator}) is computed; ` +
      'it must be a weight of the model',
  );
}
