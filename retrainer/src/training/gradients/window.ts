import { ints } from '@hotloop/model/onnx/graph-builder.ts';
import { intAttribute, intsAttribute } from '@hotloop/model/onnx/node-attributes.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import type { GradientContext, GradientWriter } from '../gradient-writer.ts';

/** How a window moves over the spatial axes of a convolution or a pooling. One entry per axis; pads: begins, then ends. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
}

/**
 * Reads a node's window. `auto_pad: SAME_*` is worked out where the input's size is known or the stride is 1.
 *
 * @param kernel the window's size. @param wide the value the window moves over: [N, C, spatial axes].
 * @throws a coded error naming the node for a padding that cannot be known.
 */
export function windowOf({ node, writer }: GradientContext, kernel: readonly number[], wide: string): Window {
  const ones = kernel.map(() => 1);
  const strides = intsAttribute(node, 'strides') ?? ones;
  const dilations = intsAttribute(node, 'dilations') ?? ones;
  const auto = node.attributes.get('auto_pad');
  const mode = auto?.kind === 'string' ? auto.value : 'NOTSET';
  if (mode === 'NOTSET' || mode === '')
    return { kernel, strides, dilations, pads: intsAttribute(node, 'pads') ?? zeros(2 * kernel.length) };
  if (mode === 'VALID') return { kernel, strides, dilations, pads: zeros(2 * kernel.length) };
  const totals = kernel.map((size, axis) => {
    const stride = strides[axis]!;
    const span = dilations[axis]! * (size - 1) + 1;
    const length = stride === 1 ? 1 : writer.shapeOf(wide)?.[axis + 2];
    if (typeof length !== 'number' || node.operator === 'ConvTranspose') {
      throw unsound(
        `the padding (auto_pad ${mode}) of node ${quoted(node.name || node.outputs[0]!)} (${node.operator}) depends on a ` +
          'size that is not known; export the model with explicit pads',
      );
    }
    return Math.max((Math.ceil(length / stride) - 1) * stride + span - length, 0);
  });
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total, axis) => total - small[axis]!);
  const pads = mode === 'SAME_UPPER' ? [...small, ...large] : [...large, ...small];
  return { kernel, strides, dilations, pads };
}

/** @returns attributes of Conv and ConvTranspose. */
export function windowAttributes({ strides, dilations, pads }: Omit<Window, 'kernel'>) {
  return { strides: ints(strides), dilations: ints(dilations), pads: ints(pads) };
}

/** @returns the spatial part of a value's shape when the graph runs. */
export function spatialShape(writer: GradientWriter, value: string): string {
  return writer.op('Slice', [writer.shapeTensor(value), writer.integers([2]), writer.integers([2 ** 31])]);
}

/**
 * The gradient by what a window moved over: every output's gradient is spread over its window by a transposed
 * convolution. Elements at the end that no window reached have gradient 0.
 *
 * @param wide the value the window moved over; only its spatial size is read.
 */
export function spread(
  writer: GradientWriter,
  { gradient, kernel, wide, group }: { gradient: string; kernel: string; wide: string; group: number },
  window: Window,
): string {
  const axes = window.kernel.map((_, axis) => axis);
  const attributes = { ...windowAttributes(window), group: { kind: 'int', value: BigInt(group) } as const };
  const sizes = axes.map((axis) => writer.shapeOf(wide)?.[axis + 2]);
  const isUnit = window.strides.every((stride) => stride === 1);
  if (isUnit || sizes.every((size) => typeof size === 'number')) {
    const rest = axes.map((axis) => {
      if (isUnit) return 0;
      const span = window.dilations[axis]! * (window.kernel[axis]! - 1) + 1;
      const padded = Number(sizes[axis]) + window.pads[axis]! + window.pads[axis + axes.length]!;
      return (padded - span) % window.strides[axis]!;
    });
    return writer.op('ConvTranspose', [gradient, kernel], { ...attributes, output_padding: ints(rest) });
  }
  // Nothing is cut off by the operator itself: it refuses to leave nothing, as where a window lies in the padding alone.
  const begins = writer.integers(window.pads.slice(0, axes.length));
  const uncut = writer.op('ConvTranspose', [gradient, kernel], {
    ...attributes,
    pads: ints(zeros(2 * axes.length)),
  });
  const more = writer.integers([...zeros(axes.length + 4), ...window.strides.map((stride) => stride - 1)]);
  const roomy = writer.op('Pad', [uncut, more]);
  const ends = writer.op('Add', [spatialShape(writer, wide), begins]);
  return writer.op('Slice', [roomy, begins, ends, writer.integers(axes.map((axis) => axis + 2))]);
}

export function zeros(count: number): number[] {
  return Array<number>(count).fill(0);
}

export function groupOf(node: GradientContext['node']): number {
  return intAttribute(node, 'group', 1);
}
