import type { GradientRule } from '../gradient-writer.ts';
import {
  cast,
  dropout,
  elu,
  erf,
  gelu,
  hardSigmoid,
  identity,
  leakyRelu,
  logSoftmax,
  pRelu,
  relu,
  sigmoid,
  softmax,
  softplus,
  tanh,
} from './activation.ts';
import { abs, add, clip, div, exp, log, mul, neg, pow, reciprocal, sqrt, sub } from './arithmetic.ts';
import { conv, convTranspose } from './convolution.ts';
import { gru } from './gru.ts';
import { expand, extreme, gather, pad, slice, split, where } from './indexing.ts';
import { concat, reshaped, transpose } from './layout.ts';
import { lstm } from './lstm.ts';
import { gemm, matMul } from './matrix.ts';
import { batchNormalization, layerNormalization } from './normalization.ts';
import { averagePool, globalAveragePool, maxPool } from './pooling.ts';
import { reduceExtreme, reduceMean, reduceSum } from './reduction.ts';

/** The operators through which training can go. All are of the standard domain. */
export const DIFFERENTIABLE = [
  'Abs',
  'Add',
  'AveragePool',
  'BatchNormalization',
  'Cast',
  'Clip',
  'Concat',
  'Conv',
  'ConvTranspose',
  'Div',
  'Dropout',
  'Elu',
  'Erf',
  'Exp',
  'Expand',
  'Flatten',
  'GRU',
  'Gather',
  'Gelu',
  'Gemm',
  'GlobalAveragePool',
  'HardSigmoid',
  'Identity',
  'LSTM',
  'LayerNormalization',
  'LeakyRelu',
  'Log',
  'LogSoftmax',
  'MatMul',
  'Max',
  'MaxPool',
  'Min',
  'Mul',
  'Neg',
  'PRelu',
  'Pad',
  'Pow',
  'Reciprocal',
  'ReduceMax',
  'ReduceMean',
  'ReduceMin',
  'ReduceSum',
  'Relu',
  'Reshape',
  'Sigmoid',
  'Slice',
  'Softmax',
  'Softplus',
  'Split',
  'Sqrt',
  'Squeeze',
  'Sub',
  'Tanh',
  'Transpose',
  'Unsqueeze',
  'Where',
] as const;

export type DifferentiableOperator = (typeof DIFFERENTIABLE)[number];

/** How the gradient goes back through each operator: one rule per operator, none missing. */
export const gradientRules: Readonly<Record<DifferentiableOperator, GradientRule>> = {
  Abs: abs,
  Add: add,
  AveragePool: averagePool,
  BatchNormalization: batchNormalization,
  Cast: cast,
  Clip: clip,
  Concat: concat,
  Conv: conv,
  ConvTranspose: convTranspose,
  Div: div,
  Dropout: dropout,
  Elu: elu,
  Erf: erf,
  Exp: exp,
  Expand: expand,
  Flatten: reshaped,
  GRU: gru,
  Gather: gather,
  Gelu: gelu,
  Gemm: gemm,
  GlobalAveragePool: globalAveragePool,
  HardSigmoid: hardSigmoid,
  Identity: identity,
  LSTM: lstm,
  LayerNormalization: layerNormalization,
  LeakyRelu: leakyRelu,
  Log: log,
  LogSoftmax: logSoftmax,
  MatMul: matMul,
  Max: extreme,
  MaxPool: maxPool,
  Min: extreme,
  Mul: mul,
  Neg: neg,
  PRelu: pRelu,
  Pad: pad,
  Pow: pow,
  Reciprocal: reciprocal,
  ReduceMax: reduceExtreme,
  ReduceMean: reduceMean,
  ReduceMin: reduceExtreme,
  ReduceSum: reduceSum,
  Relu: relu,
  Reshape: reshaped,
  Sigmoid: sigmoid,
  Slice: slice,
  Softmax: softmax,
  Softplus: softplus,
  Split: split,
  Sqrt: sqrt,
  Squeeze: reshaped,
  Sub: sub,
  Tanh: tanh,
  Transpose: transpose,
  Unsqueeze: reshaped,
  Where: where,
};

/** Inputs that steer an operator and are never trained, by position. */
export const steeringInputs: Readonly<Partial<Record<DifferentiableOperator, readonly number[]>>> = {
  // The running mean and variance: statistics of the data, kept as they are.
  BatchNormalization: [3, 4],
  Clip: [1, 2],
  Dropout: [1, 2],
  Gather: [1],
  Pad: [1, 2, 3],
  Pow: [1],
};

/** Operators whose rules take the gradients of all their outputs; others are trained through their first output only. */
export const manyOutputs: ReadonlySet<string> = new Set<DifferentiableOperator>(['GRU', 'LSTM', 'Split']);

/** @returns the rule of an operator, or undefined where training cannot go through it. */
export function gradientRuleOf(domain: string, operator: string): GradientRule | undefined {
  if (domain !== '' || !Object.hasOwn(gradientRules, operator)) return undefined;
  return gradientRules[operator as DifferentiableOperator];
}
