import { int } from '@hotloop/model/onnx/graph-builder.ts';
import type { OnnxGraph, OnnxNode } from '@hotloop/model/onnx/model.ts';
import { intAttribute } from '@hotloop/model/onnx/node-attributes.ts';
import { elementTypeCode } from '@hotloop/model/onnx/tensor.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import type { LossName, LossSpec } from '@hotloop/model/training/training-settings.ts';
import { floatTensor, type GradientWriter } from './gradient-writer.ts';
import type { Shape } from './infer-shapes.ts';
import type { LossInputs, LossNodes } from './loss-nodes.ts';
import { rankingLoss } from './ranking-losses.ts';

/** Probabilities are kept this far from 0 and 1 where the loss takes their logarithm. */
const probabilityMargin = 1e-7;

/**
 * Plans a loss over one output of a model. Where the output ends in Sigmoid (binary) or Softmax (classes), the loss is
 * taken from what goes into it: the same number, computed so that no extreme score makes it infinite.
 */
export function planLoss(
  spec: LossSpec,
  graph: OnnxGraph,
  output: string,
  writer: GradientWriter,
  inputs: LossInputs,
): LossNodes {
  const last = lastOperation(graph, output);
  const width = writer.shapeOf(output) ?? graph.outputs.find((one) => one.name === output)?.shape;
  const name = isPair(width) && last && SUM_TO_ONE.has(last.operator) ? nameForPair(spec) : spec.name;
  if (name !== 'cross_entropy' && width?.length === 2 && typeof width[1] === 'number' && width[1] !== 1) {
    throw unsound(`loss ${name} takes one value per row, but output ${quoted(output)} has ${width[1]}`);
  }
  switch (name) {
    case 'binary_cross_entropy': {
      const chosen = weighed(writer, spec, inputs);
      if (last?.operator === 'Sigmoid') return binaryFromLogits(writer, last.inputs[0]!, chosen);
      return binaryFromProbabilities(writer, output, chosen);
    }
    case 'cross_entropy':
      if (width && width.length !== 2)
        throw unsound(`loss ${name} takes output [N, C], not rank ${width.length}`);
      if (last?.operator === 'Softmax' && [-1, 1].includes(intAttribute(last, 'axis', -1))) {
        return classesFromLogits(writer, last.inputs[0]!, inputs, spec);
      }
      return classesFromProbabilities(writer, output, inputs, spec);
    case 'mean_squared_error':
      return squaredError(writer, output, inputs);
    case 'mean_absolute_error':
      return absoluteError(writer, output, inputs);
    case 'huber':
      return huber(writer, output, inputs, spec.delta ?? 1);
    case 'quantile':
      return quantileError(writer, output, inputs, spec.quantile ?? 0.5);
    case 'bpr':
    case 'listwise_softmax':
      return rankingLoss(name, writer, last?.operator === 'Sigmoid' ? last.inputs[0]! : output, inputs);
  }
}

/** What two probabilities a row, of no and of yes, come from; scikit-learn concatenates 1 - p and p. */
const SUM_TO_ONE: ReadonlySet<string> = new Set(['Concat', 'Softmax']);

function isPair(shape: Shape | null | undefined): boolean {
  return shape?.length === 2 && shape[1] === 2;
}

/** The cross-entropy of two probabilities that sum to 1 is the binary one. */
function nameForPair({ name, positiveWeight = 1 }: LossSpec): LossName {
  return name === 'binary_cross_entropy' && positiveWeight === 1 ? 'cross_entropy' : name;
}

/** Binary labels drawn towards a half, y (1 - s) + s / 2, and weights of positive examples multiplied. */
function weighed(
  writer: GradientWriter,
  { labelSmoothing = 0, positiveWeight = 1 }: LossSpec,
  { labels, weights, groups }: LossInputs,
): LossInputs {
  const mul = (value: string, factor: number) => writer.op('Mul', [value, writer.scalar(factor)]);
  const add = (value: string, more: number) => writer.op('Add', [value, writer.scalar(more)]);
  return {
    groups,
    labels: labelSmoothing === 0 ? labels : add(mul(labels, 1 - labelSmoothing), labelSmoothing / 2),
    weights:
      positiveWeight === 1 ? weights : writer.op('Mul', [weights, add(mul(labels, positiveWeight - 1), 1)]),
  };
}

/** The node an output comes from, seen through nodes that only rename. */
function lastOperation(graph: OnnxGraph, output: string): OnnxNode | undefined {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  let node = producers.get(output);
  while (node?.operator === 'Identity' && node.domain === '') node = producers.get(node.inputs[0]!);
  return node?.domain === '' ? node : undefined;
}

/** The loss of each example becomes one number: sum(w l) / sum(w). @returns the loss and w / sum(w). */
function weightedMean(
  writer: GradientWriter,
  perExample: string,
  weights: string,
): [loss: string, share: string] {
  const share = writer.op('Div', [weights, writer.op('ReduceSum', [weights], { keepdims: int(0) })]);
  const loss = writer.op('ReduceSum', [writer.op('Mul', [perExample, share])], { keepdims: int(0) });
  return [loss, share];
}

/** Makes a loss that works on a flat [N] view of the target, given l and dl/dx per example. */
function rowLoss(
  writer: GradientWriter,
  target: string,
  weights: string,
  write: (row: string) => { loss: string; slope: () => string },
): LossNodes {
  let gradient = () => '';
  return {
    target,
    writeLoss: () => {
      const { loss: perExample, slope } = write(writer.op('Reshape', [target, writer.integers([-1])]));
      const [loss, share] = weightedMean(writer, perExample, weights);
      gradient = () => writer.reshapeLike(writer.op('Mul', [slope(), share]), target);
      return loss;
    },
    writeGradient: () => gradient(),
  };
}

/** l = max(z, 0) - z y + log(1 + exp(-|z|)), dl/dz = sigmoid(z) - y */
function binaryFromLogits(
  writer: GradientWriter,
  target: string,
  { labels, weights }: LossInputs,
): LossNodes {
  return rowLoss(writer, target, weights, (z) => {
    const tail = writer.op('Exp', [writer.op('Neg', [writer.op('Abs', [z])])]);
    const logTerm = writer.op('Log', [writer.op('Add', [tail, writer.scalar(1)])]);
    const linear = writer.op('Sub', [writer.op('Relu', [z]), writer.op('Mul', [z, labels])]);
    const slope = () => writer.op('Sub', [writer.op('Sigmoid', [z]), labels]);
    return { loss: writer.op('Add', [linear, logTerm]), slope };
  });
}

/** l = -y log p - (1 - y) log(1 - p), dl/dp = (p - y) / (p (1 - p)), with p kept off 0 and 1 */
function binaryFromProbabilities(
  writer: GradientWriter,
  target: string,
  { labels, weights }: LossInputs,
): LossNodes {
  return rowLoss(writer, target, weights, (raw) => {
    const p = writer.op('Clip', [
      raw,
      writer.scalar(probabilityMargin),
      writer.scalar(1 - probabilityMargin),
    ]);
    const one = writer.scalar(1);
    const rest = writer.op('Sub', [one, p]);
    const positive = writer.op('Mul', [labels, writer.op('Log', [p])]);
    const negative = writer.op('Mul', [writer.op('Sub', [one, labels]), writer.op('Log', [rest])]);
    const slope = () => writer.op('Div', [writer.op('Sub', [p, labels]), writer.op('Mul', [p, rest])]);
    return { loss: writer.op('Neg', [writer.op('Add', [positive, negative])]), slope };
  });
}

/** l = (x - y)^2, dl/dx = 2 (x - y) */
function squaredError(writer: GradientWriter, target: string, { labels, weights }: LossInputs): LossNodes {
  return rowLoss(writer, target, weights, (x) => {
    const error = writer.op('Sub', [x, labels]);
    return {
      loss: writer.op('Mul', [error, error]),
      slope: () => writer.op('Mul', [error, writer.scalar(2)]),
    };
  });
}

/** l = |x - y|, dl/dx = sign(x - y) */
function absoluteError(writer: GradientWriter, target: string, { labels, weights }: LossInputs): LossNodes {
  return rowLoss(writer, target, weights, (x) => {
    const error = writer.op('Sub', [x, labels]);
    return { loss: writer.op('Abs', [error]), slope: () => writer.op('Sign', [error]) };
  });
}

/** With c = x - y cut to [-delta, delta]: l = c (x - y - c / 2), dl/dx = c. Huber 1964. */
function huber(
  writer: GradientWriter,
  target: string,
  { labels, weights }: LossInputs,
  delta: number,
): LossNodes {
  return rowLoss(writer, target, weights, (x) => {
    const error = writer.op('Sub', [x, labels]);
    const cut = writer.op('Clip', [error, writer.scalar(-delta), writer.scalar(delta)]);
    const half = writer.op('Mul', [cut, writer.scalar(0.5)]);
    return { loss: writer.op('Mul', [cut, writer.op('Sub', [error, half])]), slope: () => cut };
  });
}

/** l = max(-q e, (1 - q) e), e = x - y; dl/dx = 1 - q where e > 0, -q elsewhere. Koenker and Bassett 1978. */
function quantileError(
  writer: GradientWriter,
  target: string,
  { labels, weights }: LossInputs,
  q: number,
): LossNodes {
  return rowLoss(writer, target, weights, (x) => {
    const error = writer.op('Sub', [x, labels]);
    const over = writer.op('Mul', [error, writer.scalar(1 - q)]);
    const isOver = writer.op('Greater', [error, writer.scalar(0)]);
    return {
      loss: writer.op('Max', [over, writer.op('Mul', [error, writer.scalar(-q)])]),
      slope: () => writer.op('Where', [isOver, writer.scalar(1 - q), writer.scalar(-q)]),
    };
  });
}

/** l = -log softmax(z)[y], dl/dz = softmax(z) - onehot(y) */
function classesFromLogits(
  writer: GradientWriter,
  target: string,
  inputs: LossInputs,
  spec: LossSpec,
): LossNodes {
  return classLoss(writer, target, inputs, spec, (hot) => {
    const logs = writer.op('LogSoftmax', [target], { axis: int(-1) });
    return { logs, slope: () => writer.op('Sub', [writer.op('Exp', [logs]), hot]) };
  });
}

/** l = -log p[y], dl/dp = -onehot(y) / p, with p kept off 0 */
function classesFromProbabilities(
  writer: GradientWriter,
  target: string,
  inputs: LossInputs,
  spec: LossSpec,
): LossNodes {
  return classLoss(writer, target, inputs, spec, (hot) => {
    const p = writer.op('Clip', [target, writer.scalar(probabilityMargin)]);
    return { logs: writer.op('Log', [p]), slope: () => writer.op('Neg', [writer.op('Div', [hot, p])]) };
  });
}

function classLoss(
  writer: GradientWriter,
  target: string,
  { labels, weights }: LossInputs,
  { labelSmoothing = 0, classWeights }: LossSpec,
  write: (hot: string) => { logs: string; slope: () => string },
): LossNodes {
  let gradient = () => '';
  return {
    target,
    writeLoss: () => {
      const hot = smoothed(writer, oneHot(writer, target, labels), labelSmoothing);
      const { logs, slope } = write(hot);
      const perExample = writer.op('Neg', [writer.sum(writer.op('Mul', [hot, logs]), [-1], false)]);
      const counted = classWeights ? byClass(writer, labels, weights, classWeights) : weights;
      const [loss, share] = weightedMean(writer, perExample, counted);
      gradient = () => writer.op('Mul', [slope(), writer.op('Unsqueeze', [share, writer.integers([1])])]);
      return loss;
    },
    writeGradient: () => gradient(),
  };
}

/** @returns [N, C], 1 where the column is the row's label and 0 elsewhere. */
function oneHot(writer: GradientWriter, target: string, labels: string): string {
  const classes = writer.op('Gather', [writer.shapeTensor(target), writer.scalarInteger(1)]);
  const columns = writer.op('Range', [writer.scalarInteger(0), classes, writer.scalarInteger(1)]);
  const wanted = writer.op('Cast', [labels], { to: int(elementTypeCode('int64')) });
  const isWanted = writer.op('Equal', [writer.op('Unsqueeze', [wanted, writer.integers([1])]), columns]);
  return writer.op('Cast', [isWanted], { to: int(elementTypeCode(writer.floatType)) });
}

/** hot (1 - s) + s / C: each row still sums to 1. */
function smoothed(writer: GradientWriter, hot: string, share: number): string {
  if (share === 0) return hot;
  const classes = writer.op('Gather', [writer.shapeTensor(hot), writer.scalarInteger(1)]);
  const even = writer.op('Div', [writer.scalar(share), writer.op('CastLike', [classes, hot])]);
  return writer.op('Add', [writer.op('Mul', [hot, writer.scalar(1 - share)]), even]);
}

function byClass(
  writer: GradientWriter,
  labels: string,
  weights: string,
  classWeights: readonly number[],
): string {
  const table = writer.constant('class_weights', floatTensor(writer.floatType, classWeights));
  const wanted = writer.op('Cast', [labels], { to: int(elementTypeCode('int64')) });
  return writer.op('Mul', [weights, writer.op('Gather', [table, wanted])]);
}
