import type { OnnxNode } from '../model.ts';
import { intAttribute } from '../node-attributes.ts';
import { axesOf, integersOf, isConstant, type RowRule, rest, without } from './row-rule.ts';
import { MIXED, normalAxis, type Rows, type RowValue, rows, rowsOfRank } from './row-value.ts';
import {
  concat,
  constantOfShape,
  expand,
  flatten,
  gather,
  gatherElements,
  pad,
  reshape,
  shape,
  slice,
  split,
  squeeze,
  tile,
  transpose,
  unsqueeze,
} from './shape-rules.ts';

/** The first input's rows, if all others are constants that do not extend over the rows' axis. */
const sameAsFirst: RowRule = ({ inputs }) => {
  const [first] = inputs;
  return first?.kind === 'rows' && rest(inputs).every(isConstant) ? first : MIXED;
};

/** Elementwise with broadcasting (ONNX "Multidirectional Broadcasting", aligned at the last dimension). */
const broadcast: RowRule = ({ inputs }) => {
  let found: Rows | undefined;
  let rank = 0;
  for (const value of inputs) {
    if (value === undefined) continue;
    if (value.kind === 'rows') rank = Math.max(rank, value.dims.length);
    else if (value.kind === 'constant' && value.dims !== null) rank = Math.max(rank, value.dims.length);
    else return MIXED;
  }
  const dims: (number | null)[] = Array.from({ length: rank }, () => 1);
  for (const value of inputs) {
    if (value === undefined || value.kind === 'sizes' || value.kind === 'mixed') continue;
    const own = value.dims ?? [];
    const shift = rank - own.length;
    if (value.kind === 'rows') {
      const axis = value.axis + shift;
      if (found && found.axis !== axis) return MIXED;
      found = { kind: 'rows', axis, dims: [] };
    }
    for (const [at, dim] of own.entries()) {
      const known = dims[at + shift];
      dims[at + shift] = known === 1 ? dim : dim === 1 ? (known ?? null) : (known ?? dim);
    }
  }
  if (!found) return MIXED;
  const { axis } = found;
  for (const value of inputs) {
    if (value?.kind !== 'constant') continue;
    const at = axis - (rank - (value.dims?.length ?? 0));
    // A constant longer than one along the rows' axis would be a different value for each position in the batch.
    if (at >= 0 && value.dims?.[at] !== 1) return MIXED;
  }
  return rows(axis, dims);
};

const reduce: RowRule = (input) => {
  const [first] = input.inputs;
  if (first?.kind !== 'rows') return MIXED;
  const axes = axesOf(input, 1);
  if (axes === undefined || axes.length === 0)
    return axes === undefined && intAttribute(input.node, 'noop_with_empty_axes', 0) === 1 ? first : MIXED;
  return without(first, axes, intAttribute(input.node, 'keepdims', 1) === 1);
};

const argReduce: RowRule = ({ node, inputs: [first] }) =>
  first?.kind === 'rows'
    ? without(first, [intAttribute(node, 'axis', 0)], intAttribute(node, 'keepdims', 1) === 1)
    : MIXED;

/** Operates along one axis and keeps all others separate. */
const alongAxis =
  (fallback: number, old?: (node: OnnxNode, first: Rows) => boolean): RowRule =>
  ({ node, inputs, opset }) => {
    const [first] = inputs;
    if (first?.kind !== 'rows' || !rest(inputs).every(isConstant)) return MIXED;
    if (old && opset < 13) return old(node, first) ? first : MIXED;
    const axis = normalAxis(intAttribute(node, 'axis', fallback), first.dims.length);
    return axis === first.axis ? MIXED : first;
  };

/** Before operator set 13 these flattened everything from `axis` (default 1) on. */
const softmax = alongAxis(-1, (node, first) => intAttribute(node, 'axis', 1) > first.axis);

/** Normalizes over every dimension from `axis` on. */
const layerNormalization: RowRule = ({ node, inputs }) => {
  const [first] = inputs;
  if (first?.kind !== 'rows' || !rest(inputs).every(isConstant)) return MIXED;
  return normalAxis(intAttribute(node, 'axis', -1), first.dims.length) > first.axis ? first : MIXED;
};

const matMul: RowRule = ({ inputs: [left, right, ...more] }) => {
  if (left === undefined || right === undefined || !more.every(isConstant)) return MIXED;
  if (left.kind === 'rows' && right.kind === 'rows') {
    const rank = left.dims.length;
    const isBatch = rank === right.dims.length && left.axis === right.axis && left.axis < rank - 2;
    return isBatch ? rows(left.axis, [...left.dims.slice(0, -1), right.dims.at(-1) ?? null]) : MIXED;
  }
  if (left.kind === 'rows' && right.kind === 'constant') {
    const columns = right.dims;
    if (columns === null || columns.length > 2 || left.axis >= left.dims.length - 1) return MIXED;
    return rows(left.axis, [
      ...left.dims.slice(0, -1),
      ...(columns.length === 2 ? [columns[1] ?? null] : []),
    ]);
  }
  if (left.kind === 'constant' && right.kind === 'rows' && left.dims?.length === 2)
    return right.axis < right.dims.length - 2
      ? rows(
          right.axis,
          right.dims.map((dim, at) => (at === right.dims.length - 2 ? null : dim)),
        )
      : MIXED;
  return MIXED;
};

const gemm: RowRule = ({ node, inputs: [left, right, bias] }) => {
  if (left?.kind !== 'rows' || left.axis !== 0 || right?.kind !== 'constant' || !isConstant(bias))
    return MIXED;
  if (intAttribute(node, 'transA', 0) !== 0) return MIXED;
  if (bias?.kind === 'constant' && (bias.dims === null || (bias.dims.length === 2 && bias.dims[0] !== 1)))
    return MIXED;
  const columns = right.dims?.[intAttribute(node, 'transB', 0) === 0 ? 1 : 0] ?? null;
  return rows(0, [null, columns]);
};

/** Convolutions, pooling, normalization by stored statistics: [rows, channels, ...], weights constant. */
const overImages: RowRule = ({ inputs }) => {
  const [first] = inputs;
  if (first?.kind !== 'rows' || first.axis !== 0 || !rest(inputs).every(isConstant)) return MIXED;
  return rowsOfRank(0, first.dims.length);
};

const batchNormalization: RowRule = (input) =>
  intAttribute(input.node, 'training_mode', 0) === 0 ? overImages(input) : MIXED;

const oneHot: RowRule = ({ node, inputs: [indices, depth, values] }) => {
  if (indices?.kind !== 'rows' || !isConstant(depth) || !isConstant(values)) return MIXED;
  const rank = indices.dims.length + 1;
  const axis = normalAxis(intAttribute(node, 'axis', -1), rank);
  return rowsOfRank(axis <= indices.axis ? indices.axis + 1 : indices.axis, rank);
};

/** X is [time, rows, inputs]; Y [time, directions, rows, hidden]; the last states [directions, rows, hidden]. */
const recurrent: RowRule = ({ node, inputs }) => {
  const [first, w, r, bias, lengths, ...states] = inputs;
  const isBatchFirst = intAttribute(node, 'layout', 0) === 1;
  if (first?.kind !== 'rows' || first.axis !== (isBatchFirst ? 0 : 1)) return MIXED;
  if (![w, r, bias].every(isConstant)) return MIXED;
  if (lengths !== undefined && !(lengths.kind === 'rows' && lengths.axis === 0)) return MIXED;
  const stateAxis = isBatchFirst ? 0 : 1;
  const isState = (value: RowValue | undefined) =>
    value === undefined || (value.kind === 'rows' && value.axis === stateAxis);
  // The last of them may be peephole weights, which are constant.
  if (!states.slice(0, 2).every(isState) || !states.slice(2).every(isConstant)) return MIXED;
  return [rowsOfRank(isBatchFirst ? 0 : 2, 4), rowsOfRank(stateAxis, 3), rowsOfRank(stateAxis, 3)];
};

const dropout: RowRule = ({ inputs }) =>
  inputs[0]?.kind === 'rows' && inputs[2] === undefined ? inputs[0] : MIXED;

/** Table in, [rows] or [rows, values] out: each row independently. */
const table =
  (...ranks: readonly number[]): RowRule =>
  ({ inputs: [first] }) =>
    first?.kind === 'rows' && first.axis === 0 ? ranks.map((rank) => rowsOfRank(0, rank)) : MIXED;

/** com.microsoft.Attention: input [rows, time, hidden], weights constant, no mask that spans rows. */
const fusedAttention: RowRule = ({ inputs: [first, ...more] }) =>
  first?.kind === 'rows' && first.axis === 0 && more.every(isConstant) ? rowsOfRank(0, 3) : MIXED;

const names = (text: string): readonly string[] => text.split(/\s+/).filter((name) => name !== '');

const ELEMENTWISE =
  names(`Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Clip Cos Cosh Elu Erf Exp Floor
  Gelu HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign
  Sin Sinh Softplus Softsign Sqrt StringNormalizer Swish Tan Tanh ThresholdedRelu Add And BitShift BitwiseAnd BitwiseOr
  BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or Pow PRelu StringConcat Sub Sum Where
  Xor RegexFullMatch CastLike`);
const ELEMENTWISE_NAMES: ReadonlySet<string> = new Set(ELEMENTWISE);

export const isElementwise = (operator: string): boolean => ELEMENTWISE_NAMES.has(operator);

const REDUCTIONS =
  names(`ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
  ReduceSumSquare`);
const IMAGES = names(`AveragePool Conv ConvTranspose DepthToSpace GlobalAveragePool GlobalLpPool GlobalMaxPool
  GroupNormalization InstanceNormalization LRN LpPool MaxPool SpaceToDepth ConvInteger QLinearConv`);

/**
 * Every operator whose effect on rows is known, as 'operator' or 'domain:operator'. All others count as mixing the
 * rows of a batch.
 */
export const ROW_RULES: ReadonlyMap<string, RowRule> = new Map<string, RowRule>([
  ...ELEMENTWISE.map((name): [string, RowRule] => [name, broadcast]),
  ...REDUCTIONS.map((name): [string, RowRule] => [name, reduce]),
  ...IMAGES.map((name): [string, RowRule] => [name, overImages]),
  ['ArgMax', argReduce],
  ['ArgMin', argReduce],
  ['BatchNormalization', batchNormalization],
  ['Concat', concat],
  ['ConstantOfShape', constantOfShape],
  ['CumSum', ({ inputs: [first, axis] }) => cumulative(first, axis)],
  ['Dropout', dropout],
  ['Expand', expand],
  ['Flatten', flatten],
  ['GRU', recurrent],
  ['Gather', gather],
  ['GatherElements', gatherElements],
  ['Gemm', gemm],
  ['Hardmax', softmax],
  ['LSTM', recurrent],
  ['LayerNormalization', layerNormalization],
  ['LogSoftmax', softmax],
  ['MatMul', matMul],
  ['MatMulInteger', matMul],
  ['OneHot', oneHot],
  ['Pad', pad],
  ['QuantizeLinear', sameAsFirst],
  ['DequantizeLinear', sameAsFirst],
  ['RMSNormalization', layerNormalization],
  ['RNN', recurrent],
  ['Reshape', reshape],
  ['Shape', shape],
  ['Slice', slice],
  ['Softmax', softmax],
  ['Split', split],
  ['Squeeze', squeeze],
  ['TfIdfVectorizer', table(2)],
  ['Tile', tile],
  ['TopK', alongAxis(-1)],
  ['Transpose', transpose],
  ['Unsqueeze', unsqueeze],
  ...names('Binarizer Imputer LabelEncoder Normalizer Scaler CategoryMapper').map(
    (name): [string, RowRule] => [
      `ai.onnx.ml:${name}`,
      ({ inputs: [first] }) => (first?.kind === 'rows' && first.axis === 0 ? first : MIXED),
    ],
  ),
  ...names('LinearClassifier SVMClassifier TreeEnsembleClassifier').map((name): [string, RowRule] => [
    `ai.onnx.ml:${name}`,
    table(1, 2),
  ]),
  ...names('LinearRegressor SVMRegressor TreeEnsembleRegressor TreeEnsemble').map(
    (name): [string, RowRule] => [`ai.onnx.ml:${name}`, table(2)],
  ),
  [
    'ai.onnx.ml:ArrayFeatureExtractor',
    ({ inputs: [first, picked] }) =>
      first?.kind === 'rows' && first.axis < first.dims.length - 1 && isConstant(picked)
        ? rowsOfRank(first.axis, first.dims.length)
        : MIXED,
  ],
  [
    'ai.onnx.ml:FeatureVectorizer',
    ({ inputs }) =>
      inputs.every((value) => value?.kind === 'rows' && value.axis === 0) ? rowsOfRank(0, 2) : MIXED,
  ],
  [
    'ai.onnx.ml:OneHotEncoder',
    ({ node, inputs: [first] }) =>
      first?.kind === 'rows' ? rows(first.axis, [...first.dims, categoriesOf(node)]) : MIXED,
  ],
  ['ai.onnx.ml:ZipMap', table(1)],
  ...names('BiasGelu FastGelu Gelu QuickGelu MurmurHash3').map((name): [string, RowRule] => [
    `com.microsoft:${name}`,
    broadcast,
  ]),
  [
    'com.microsoft:FusedMatMul',
    ({ node, ...more }) => (isPlainProduct(node) ? matMul({ node, ...more }) : MIXED),
  ],
  ['com.microsoft:FusedGemm', gemm],
  ['com.microsoft:FusedConv', overImages],
  ['com.microsoft:Attention', fusedAttention],
]);

function categoriesOf({ attributes }: OnnxNode): number | null {
  for (const name of ['cats_strings', 'cats_int64s']) {
    const found = attributes.get(name);
    if (found?.kind === 'strings' || found?.kind === 'ints') return found.value.length;
  }
  return null;
}

function isPlainProduct(node: OnnxNode): boolean {
  return ['transA', 'transB', 'transBatchA', 'transBatchB'].every(
    (name) => intAttribute(node, name, 0) === 0,
  );
}

function cumulative(first: RowValue | undefined, axis: RowValue | undefined): RowValue {
  const [along] = integersOf(axis) ?? [];
  if (first?.kind !== 'rows' || along === undefined) return MIXED;
  return normalAxis(along, first.dims.length) === first.axis ? MIXED : first;
}
