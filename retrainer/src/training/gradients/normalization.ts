import { floatAttribute, intAttribute } from '@hotloop/model/onnx/node-attributes.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import type { GradientContext, GradientRule, GradientWriter } from '../gradient-writer.ts';

/**
 * y = scale h + bias, h = (x - mean) / sqrt(var + epsilon), mean and var over the last axes:
 * dh = scale dy, dx = (dh - mean(dh) - h mean(h dh)) / sqrt(var + epsilon). Ba et al. 2016.
 */
export const layerNormalization: GradientRule = (context) => {
  const { node, writer, gradient, needs } = context;
  const [x, scale, bias] = node.inputs as [string, string, string | undefined];
  const rank = knownRank(context, x);
  const first = intAttribute(node, 'axis', -1);
  const axes = Array.from({ length: rank }, (_, i) => i).slice(first);
  const { normalized, inverse } = normalize(writer, x, axes, floatAttribute(node, 'epsilon', 1e-5));
  const y = node.outputs[0]!;
  return [
    needs(0) ? throughMoments(writer, writer.op('Mul', [gradient, scale]), normalized, inverse, axes) : null,
    needs(1) ? writer.reduceTo(writer.op('Mul', [gradient, normalized]), y, scale) : null,
    bias && needs(2) ? writer.reduceTo(gradient, y, bias) : null,
  ];
};

/**
 * y = scale h + bias over channels (axis 1). Frozen, mean and variance are constants of the model: dx = scale dy /
 * sqrt(var + epsilon). With `training_mode` they are the batch's own, over all axes but 1. Ioffe and Szegedy 2015.
 */
export const batchNormalization: GradientRule = (context) => {
  const { node, writer, gradient, needs } = context;
  const [x, scale, , mean, variance] = node.inputs as [string, string, string, string, string];
  const epsilon = floatAttribute(node, 'epsilon', 1e-5);
  const rank = knownRank(context, x);
  const others = Array.from({ length: rank }, (_, i) => i).filter((axis) => axis !== 1);
  const perChannel = (value: string) =>
    writer.op('Reshape', [value, writer.integers([-1, ...Array<number>(Math.max(rank - 2, 0)).fill(1)])]);
  const isTraining = intAttribute(node, 'training_mode', 0) === 1;
  const { normalized, inverse } = isTraining
    ? normalize(writer, x, others, epsilon)
    : frozen(writer, x, perChannel(mean), perChannel(variance), epsilon);
  const scaled = () => writer.op('Mul', [gradient, perChannel(scale)]);
  const byX = () =>
    isTraining
      ? throughMoments(writer, scaled(), normalized, inverse, others)
      : writer.op('Mul', [scaled(), inverse]);
  return [
    needs(0) ? byX() : null,
    needs(1) ? writer.sum(writer.op('Mul', [gradient, normalized]), others, false) : null,
    needs(2) ? writer.sum(gradient, others, false) : null,
  ];
};

interface Normalized {
  readonly normalized: string;
  /** 1 / sqrt(var + epsilon) */
  readonly inverse: string;
}

function normalize(writer: GradientWriter, x: string, axes: readonly number[], epsilon: number): Normalized {
  const centred = writer.op('Sub', [x, meanOver(writer, x, axes)]);
  const variance = meanOver(writer, writer.op('Mul', [centred, centred]), axes);
  const inverse = inverseDeviation(writer, variance, epsilon);
  return { normalized: writer.op('Mul', [centred, inverse]), inverse };
}

function frozen(
  writer: GradientWriter,
  x: string,
  mean: string,
  variance: string,
  epsilon: number,
): Normalized {
  const inverse = inverseDeviation(writer, variance, epsilon);
  return { normalized: writer.op('Mul', [writer.op('Sub', [x, mean]), inverse]), inverse };
}

function inverseDeviation(writer: GradientWriter, variance: string, epsilon: number): string {
  const deviation = writer.op('Sqrt', [writer.op('Add', [variance, writer.scalar(epsilon)])]);
  return writer.op('Div', [writer.scalar(1), deviation]);
}

function throughMoments(
  writer: GradientWriter,
  byNormalized: string,
  normalized: string,
  inverse: string,
  axes: readonly number[],
): string {
  const along = writer.op('Mul', [normalized, byNormalized]);
  const bend = writer.op('Mul', [normalized, meanOver(writer, along, axes)]);
  const centred = writer.op('Sub', [byNormalized, meanOver(writer, byNormalized, axes)]);
  return writer.op('Mul', [writer.op('Sub', [centred, bend]), inverse]);
}

/** A mean that keeps its axes: ReduceMean's own axes moved between operator sets, ReduceSum's did not. */
function meanOver(writer: GradientWriter, value: string, axes: readonly number[]): string {
  const sum = writer.sum(value, axes, true);
  const counts = [value, sum].map((name) => writer.op('Size', [name]));
  const count = writer.op('CastLike', [writer.op('Div', counts), sum]);
  return writer.op('Div', [sum, count]);
}

function knownRank({ node, writer }: GradientContext, x: string): number {
  const rank = writer.shapeOf(x)?.length;
  if (rank !== undefined) return rank;
  throw unsound(
    `the rank of ${quoted(x)} at node ${quoted(node.name || node.outputs[0]!)} (${node.operator}) is not known, so its ` +
      'gradient cannot be written; export the model with the shapes of its inputs',
  );
}
