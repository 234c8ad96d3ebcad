import { int } from '@hotloop/model/onnx/graph-builder.ts';
import type { LossName } from '@hotloop/model/training/training-settings.ts';
import type { GradientWriter } from './gradient-writer.ts';
import type { LossInputs, LossNodes } from './loss-nodes.ts';

/** @returns whether a loss compares the rows of a group. */
export function needsGroups(name: LossName): boolean {
  return name === 'bpr' || name === 'listwise_softmax';
}

/**
 * Losses that compare the rows of a group, such as the items shown with one prediction. Both look at all pairs of a batch:
 * N x N values, of which those of one group count.
 *
 * `bpr`: the mean over pairs with y_i > y_j of log(1 + exp(z_j - z_i)), weighted by w_i. Rendle et al. 2009.
 * `listwise_softmax`: the mean over rows with y > 0 of -log softmax(z)[i] within the group, weighted by w_i y_i.
 * Cao et al. 2007 (ListNet, top one).
 */
export function rankingLoss(
  name: 'bpr' | 'listwise_softmax',
  writer: GradientWriter,
  target: string,
  inputs: LossInputs,
): LossNodes {
  let gradient = '';
  return {
    target,
    writeLoss: () => {
      const z = writer.op('Reshape', [target, writer.integers([-1])]);
      const { loss, slope } = (name === 'bpr' ? pairs : lists)(writer, z, inputs);
      gradient = slope;
      return loss;
    },
    writeGradient: () => writer.reshapeLike(gradient, target),
  };
}

interface Written {
  readonly loss: string;
  /** dl/dz, [N] */
  readonly slope: string;
}

const column = (writer: GradientWriter, value: string) =>
  writer.op('Unsqueeze', [value, writer.integers([1])]);
const row = (writer: GradientWriter, value: string) => writer.op('Unsqueeze', [value, writer.integers([0])]);
const sumOf = (writer: GradientWriter, value: string) =>
  writer.op('ReduceSum', [value], { keepdims: int(0) });

/** [N, N]: 1 where two rows are of one group. */
function sameGroup(writer: GradientWriter, groups: string, like: string): string {
  const isSame = writer.op('Equal', [column(writer, groups), row(writer, groups)]);
  return writer.op('CastLike', [isSame, like]);
}

/** A batch without anything to compare has loss 0, not 0 / 0. */
function atLeast(writer: GradientWriter, total: string): string {
  return writer.op('Max', [total, writer.scalar(1e-12)]);
}

function pairs(writer: GradientWriter, z: string, { labels, weights, groups }: LossInputs): Written {
  const isAbove = writer.op('Greater', [column(writer, labels), row(writer, labels)]);
  const counted = writer.op('Mul', [
    writer.op('Mul', [sameGroup(writer, groups, z), writer.op('CastLike', [isAbove, z])]),
    column(writer, weights),
  ]);
  const share = writer.op('Div', [counted, atLeast(writer, sumOf(writer, counted))]);
  const behind = writer.op('Sub', [row(writer, z), column(writer, z)]);
  const tail = writer.op('Exp', [writer.op('Neg', [writer.op('Abs', [behind])])]);
  const logTerm = writer.op('Log', [writer.op('Add', [tail, writer.scalar(1)])]);
  const perPair = writer.op('Add', [writer.op('Relu', [behind]), logTerm]);
  const pull = writer.op('Mul', [share, writer.op('Sigmoid', [behind])]);
  return {
    loss: sumOf(writer, writer.op('Mul', [share, perPair])),
    slope: writer.op('Sub', [writer.sum(pull, [0], false), writer.sum(pull, [1], false)]),
  };
}

function lists(writer: GradientWriter, z: string, { labels, weights, groups }: LossInputs): Written {
  const same = sameGroup(writer, groups, z);
  // Scores of other groups are put so low that their exponentials vanish.
  const away = writer.op('Mul', [writer.op('Sub', [same, writer.scalar(1)]), writer.scalar(1e30)]);
  const logs = writer.op('LogSoftmax', [writer.op('Add', [writer.op('Mul', [same, row(writer, z)]), away])], {
    axis: int(1),
  });
  const counted = writer.op('Mul', [weights, labels]);
  const share = writer.op('Div', [counted, atLeast(writer, sumOf(writer, counted))]);
  const count = writer.op('Gather', [writer.shapeTensor(z), writer.scalarInteger(0)]);
  const numbers = writer.op('Range', [writer.scalarInteger(0), count, writer.scalarInteger(1)]);
  const own = writer.op('CastLike', [writer.op('Equal', [column(writer, numbers), row(writer, numbers)]), z]);
  const perRow = writer.op('Neg', [writer.sum(writer.op('Mul', [own, logs]), [1], false)]);
  // dl/dz_k = sum over rows i of share_i (softmax_i[k] - [k = i])
  const spread = writer.sum(writer.op('Mul', [column(writer, share), writer.op('Exp', [logs])]), [0], false);
  return {
    loss: sumOf(writer, writer.op('Mul', [share, perRow])),
    slope: writer.op('Sub', [spread, share]),
  };
}
