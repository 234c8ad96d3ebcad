import { int } from '@hotloop/model/onnx/graph-builder.ts';
import { elementTypeCode } from '@hotloop/model/onnx/tensor.ts';
import type { Optimizer } from '@hotloop/model/training/training-settings.ts';
import type { GradientWriter } from './gradient-writer.ts';

/** What one update reads: values in the graph. All but `step` and `learningRate` are vectors over all parameters. */
export interface UpdateInputs {
  readonly parameters: string;
  readonly gradient: string;
  readonly firstMoment: string;
  readonly secondMoment: string;
  /** float64 scalar: 1 for the first update. */
  readonly step: string;
  /** float64 scalar, above 0. */
  readonly learningRate: string;
  /** The weight decay of each parameter; null when none decays. */
  readonly decay: string | null;
}

export interface Update {
  readonly parameters: string;
  readonly firstMoment: string;
  readonly secondMoment: string;
}

/** Writes one update of all parameters. A moment that the optimizer does not use is handed through unchanged. */
export function writeUpdate(optimizer: Optimizer, writer: GradientWriter, inputs: UpdateInputs): Update {
  const { parameters, learningRate, decay } = inputs;
  const written =
    optimizer.kind === 'adam' ? adam(optimizer, writer, inputs) : sgd(optimizer, writer, inputs);
  if (decay === null) return written;
  const share = writer.op('Mul', [decay, narrowed(writer, learningRate)]);
  const shrink = writer.op('Mul', [parameters, share]);
  return { ...written, parameters: writer.op('Sub', [written.parameters, shrink]) };
}

/** Shortens a gradient that is longer than `norm` to that length. Pascanu et al. 2013. */
export function writeClipped(writer: GradientWriter, gradient: string, norm: number): string {
  const squares = writer.op('ReduceSum', [writer.op('Mul', [gradient, gradient])], { keepdims: int(0) });
  const length = writer.op('Max', [writer.op('Sqrt', [squares]), writer.scalar(norm)]);
  return writer.op('Mul', [gradient, writer.op('Div', [writer.scalar(norm), length])]);
}

/** m' = momentum m + g, p' = p - rate m' */
function sgd(
  { momentum = 0 }: Extract<Optimizer, { kind: 'sgd' }>,
  writer: GradientWriter,
  inputs: UpdateInputs,
): Update {
  const { firstMoment, gradient } = inputs;
  const first =
    momentum === 0
      ? writer.op('Identity', [firstMoment])
      : writer.op('Add', [writer.op('Mul', [firstMoment, writer.scalar(momentum)]), gradient]);
  const change = writer.op('Mul', [momentum === 0 ? gradient : first, narrowed(writer, inputs.learningRate)]);
  return {
    parameters: writer.op('Sub', [inputs.parameters, change]),
    firstMoment: first,
    secondMoment: writer.op('Identity', [inputs.secondMoment]),
  };
}

/**
 * m' = b1 m + (1 - b1) g, v' = b2 v + (1 - b2) g^2,
 * p' = p - rate (m' / (1 - b1^t)) / (sqrt(v' / (1 - b2^t)) + epsilon)
 *
 * written with few operations on vectors, whose count decides the time of a step: the moments are kept as plain
 * decaying sums M = m / (1 - b1) and V = v / (1 - b2), and all scalars meet in two:
 *
 * M' = b1 M + g, V' = b2 V + g^2, p' = p - M' / (a sqrt(V') + b),
 * s = rate (1 - b1) / (1 - b1^t), a = sqrt((1 - b2) / (1 - b2^t)) / s, b = epsilon / s
 */
function adam(
  { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 }: Extract<Optimizer, { kind: 'adam' }>,
  writer: GradientWriter,
  { parameters, gradient, firstMoment, secondMoment, step, learningRate }: UpdateInputs,
): Update {
  // Scalars are float64 whatever the graph's type: 1 - beta2^t starts at 0.001, where float32 has five digits left.
  const share = (beta: number) => {
    const rest = writer.op('Sub', [writer.double(1), writer.op('Pow', [writer.double(beta), step])]);
    return writer.op('Div', [writer.double(1 - beta), rest]);
  };
  const s = writer.op('Mul', [learningRate, share(beta1)]);
  const a = narrowed(writer, writer.op('Div', [writer.op('Sqrt', [share(beta2)]), s]));
  const b = narrowed(writer, writer.op('Div', [writer.double(epsilon), s]));

  const sum = (before: string, beta: number, now: string) =>
    writer.op('Add', [writer.op('Mul', [before, writer.scalar(beta)]), now]);
  const first = sum(firstMoment, beta1, gradient);
  const second = sum(secondMoment, beta2, writer.op('Mul', [gradient, gradient]));
  const bounded = writer.op('Add', [writer.op('Mul', [writer.op('Sqrt', [second]), a]), b]);
  const change = writer.op('Div', [first, bounded]);
  return { parameters: writer.op('Sub', [parameters, change]), firstMoment: first, secondMoment: second };
}

/** @returns a float64 scalar in the type the graph computes in. */
function narrowed(writer: GradientWriter, scalar: string): string {
  return writer.op('Cast', [scalar], { to: int(elementTypeCode(writer.floatType)) });
}
