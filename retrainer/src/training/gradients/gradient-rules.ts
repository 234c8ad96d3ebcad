import type { GradientRule } from '../gradient-writer.ts';
import { cast, identity, leakyRelu, logSoftmax, relu, sigmoid, softmax, tanh } from './activation.ts';
import { abs, add, clip, div, exp, log, mul, neg, pow, sqrt, sub } from './arithmetic.ts';
import { concat, reshaped, transpose } from './layout.ts';
import { gemm, matMul } from './matrix.ts';
import { reduceMean, reduceSum } from './reduction.ts';

/** The operators through which training can go. All are of the standard domain. */
export const DIFFERENTIABLE = [
  'Abs',
  'Add',
  'Cast',
  'Clip',
  'Concat',
  'Div',
  'Dropout',
  'Exp',
  'Flatten',
  'Gemm',
  'Identity',
  'LeakyRelu',
  'Log',
  'LogSoftmax',
  'MatMul',
  'Mul',
  'Neg',
  'Pow',
  'ReduceMean',
  'ReduceSum',
  'Relu',
  'Reshape',
  'Sigmoid',
  'Softmax',
  'Sqrt',
  'Squeeze',
  'Sub',
  'Tanh',
  'Transpose',
  'Unsqueeze',
] as const;

export type DifferentiableOperator = (typeof DIFFERENTIABLE)[number];

/** How the gradient goes back through each operator: one rule per operator, none missing. */
export const gradientRules: Readonly<Record<DifferentiableOperator, GradientRule>> = {
  Abs: abs,
  Add: add,
  Cast: cast,
  Clip: clip,
  Concat: concat,
  Div: div,
  // A trained model serves without dropout, and fine-tuning keeps to the function that is served.
  Dropout: identity,
  Exp: exp,
  Flatten: reshaped,
  Gemm: gemm,
  Identity: identity,
  LeakyRelu: leakyRelu,
  Log: log,
  LogSoftmax: logSoftmax,
  MatMul: matMul,
  Mul: mul,
  Neg: neg,
  Pow: pow,
  ReduceMean: reduceMean,
  ReduceSum: reduceSum,
  Relu: relu,
  Reshape: reshaped,
  Sigmoid: sigmoid,
  Softmax: softmax,
  Sqrt: sqrt,
  Squeeze: reshaped,
  Sub: sub,
  Tanh: tanh,
  Transpose: transpose,
  Unsqueeze: reshaped,
};

/** Inputs that steer an operator and are never trained, by position. */
export const steeringInputs: Readonly<Partial<Record<DifferentiableOperator, readonly number[]>>> = {
  Clip: [1, 2],
  Dropout: [1, 2],
  Pow: [1],
};

/** @returns the rule of an operator, or undefined where training cannot go through it. */
export function gradientRuleOf(domain: string, operator: string): GradientRule | undefined {
  if (domain !== '' || !Object.hasOwn(gradientRules, operator)) return undefined;
  return gradientRules[operator as DifferentiableOperator];
}
