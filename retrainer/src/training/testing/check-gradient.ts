import type { OnnxModel } from '@hotloop/model/onnx/model.ts';
import {
  type LossName,
  type LossSpec,
  lossSpec,
  type Trainable,
} from '@hotloop/model/training/training-settings.ts';
import * as ort from 'onnxruntime-node';
import type { GradientRule } from '../gradient-writer.ts';
import { needsGroups } from '../ranking-losses.ts';
import { type Parameter, trainingNames, writeTrainingGraph } from '../write-training-graph.ts';

/** What one check of a gradient found. */
export interface GradientCheck {
  /** Largest relative difference between the written gradient and central differences, over all parameters. */
  readonly worst: number;
  /** Where it was: a parameter's name and the element in it. */
  readonly at: string;
  readonly checked: number;
  /** Points left out because two step sizes disagree there: a kink (of Relu, Clip, Abs) lies within the step. */
  readonly kinks: number;
  readonly loss: number;
}

export interface GradientCheckOptions {
  readonly loss: LossName | LossSpec;
  readonly labels: ArrayLike<number>;
  readonly weights?: ArrayLike<number>;
  /** The model's inputs: values and shape by name. */
  readonly inputs?: Readonly<Record<string, { values: ArrayLike<number>; dims: readonly number[] }>>;
  readonly trainable?: Trainable;
  readonly ruleOf?: (domain: string, operator: string) => GradientRule | undefined;
}

const step = 1e-5;
/** An element much smaller than its tensor's largest is compared on the scale of this share of the largest. */
const smallShare = 1e-2;

/** Compares the gradient that `writeTrainingGraph` writes, in float64, with central differences of the loss it writes. */
export async function checkGradient(model: OnnxModel, options: GradientCheckOptions): Promise<GradientCheck> {
  const common = {
    loss: options.loss,
    floatType: 'float64' as const,
    trainable: options.trainable ?? 'all',
    ...(options.ruleOf ? { ruleOf: options.ruleOf } : {}),
  };
  const graph = writeTrainingGraph(model, { ...common, until: 'gradient' });
  const lossGraph = writeTrainingGraph(model, { ...common, until: 'loss' });
  const sessionOptions = { intraOpNumThreads: 1, graphOptimizationLevel: 'disabled' as const };
  const gradientSession = await ort.InferenceSession.create(graph.bytes, sessionOptions);
  const lossSession = await ort.InferenceSession.create(lossGraph.bytes, sessionOptions);
  try {
    const feeds = feedsOf(options);
    const parameters = Float64Array.from(graph.initial);
    const lossAt = async (index: number, value: number): Promise<number> => {
      const moved = parameters.slice();
      moved[index] = value;
      const tensor = new ort.Tensor('float64', moved, [moved.length]);
      const result = await lossSession.run({ ...feeds, [trainingNames.parameters]: tensor });
      return Number(result[trainingNames.loss]!.data[0]);
    };
    const central = async (index: number, h: number): Promise<number> => {
      const at = parameters[index]!;
      return ((await lossAt(index, at + h)) - (await lossAt(index, at - h))) / (2 * h);
    };
    const tensor = new ort.Tensor('float64', parameters, [parameters.length]);
    const result = await gradientSession.run({ ...feeds, [trainingNames.parameters]: tensor });
    const written = result[trainingNames.gradient]!.data as Float64Array;
    const wide = new Float64Array(parameters.length);
    const narrow = new Float64Array(parameters.length);
    for (const index of parameters.keys()) {
      wide[index] = await central(index, step);
      narrow[index] = await central(index, step / 4);
    }
    const loss = Number(result[trainingNames.loss]!.data[0]);
    return compare(graph.parameters, written, wide, narrow, loss);
  } finally {
    await gradientSession.release();
    await lossSession.release();
  }
}

/**
 * Compares the gradient of a squared error that `writeTrainingGraph` writes in float32, as training uses it, with central
 * differences of a reference in float64. For operators that the runtime does not have in float64. What is small beside
 * its tensor's largest gradient, or beside the gradient that reaches the operator, is compared on the scale of those:
 * float32 carries no more. `labels` are the distances from the outputs to their labels.
 *
 * @param reference the model's output from its weights.
 */
export async function checkAgainstReference(
  model: OnnxModel,
  reference: (weights: readonly Float64Array[]) => Float64Array,
  options: Omit<GradientCheckOptions, 'loss' | 'inputs'>,
): Promise<GradientCheck> {
  const graph = writeTrainingGraph(model, {
    loss: 'mean_squared_error',
    until: 'gradient',
    trainable: options.trainable ?? 'all',
    ...(options.ruleOf ? { ruleOf: options.ruleOf } : {}),
  });
  const cutApart = (parameters: Float64Array) =>
    graph.parameters.map(({ offset, length }) => parameters.subarray(offset, offset + length));
  // Labels beside the outputs, or the errors would be differences in which float32 keeps too few digits.
  const outputs = reference(cutApart(Float64Array.from(graph.initial)));
  const labels = outputs.map((value, i) => Math.fround(value + options.labels[i]!));
  const weights = Float64Array.from(options.weights ?? new Float64Array(labels.length).fill(1));
  const total = weights.reduce((a, b) => a + b, 0);
  const lossOf = (parameters: Float64Array) =>
    reference(cutApart(parameters)).reduce(
      (sum, value, i) => sum + (weights[i]! * (value - labels[i]!) ** 2) / total,
      0,
    );
  const reaching = outputs.map((value, i) => (2 * weights[i]! * Math.abs(value - labels[i]!)) / total);
  const parameters = Float64Array.from(graph.initial);
  const central = (index: number, h: number) => {
    const [up, down] = [parameters.slice(), parameters.slice()];
    up[index]! += h;
    down[index]! -= h;
    return (lossOf(up) - lossOf(down)) / (2 * h);
  };
  const session = await ort.InferenceSession.create(graph.bytes, { intraOpNumThreads: 1 });
  try {
    const vector = (values: ArrayLike<number>) =>
      new ort.Tensor('float32', Float32Array.from(values), [values.length]);
    const result = await session.run({
      [trainingNames.labels]: vector(labels),
      [trainingNames.weights]: vector(weights),
      [trainingNames.parameters]: vector(parameters),
    });
    const written = Float64Array.from(result[trainingNames.gradient]!.data as Float32Array);
    const wide = parameters.map((_, index) => central(index, step));
    const narrow = parameters.map((_, index) => central(index, step / 4));
    return compare(graph.parameters, written, wide, narrow, lossOf(parameters), {
      share: 1,
      least: 0.1 * Math.max(...reaching),
    });
  } finally {
    await session.release();
  }
}

function feedsOf({ labels, weights, inputs, loss }: GradientCheckOptions): Record<string, ort.Tensor> {
  const vector = (values: ArrayLike<number>) =>
    new ort.Tensor('float64', Float64Array.from(values), [values.length]);
  const feeds: Record<string, ort.Tensor> = {
    [trainingNames.labels]: vector(labels),
    [trainingNames.weights]: vector(weights ?? new Float64Array(labels.length).fill(1)),
  };
  // Losses that rank see two groups.
  const groups = BigInt64Array.from(labels, (_, i) => BigInt(i % 2));
  if (needsGroups(lossSpec(loss).name))
    feeds[trainingNames.groups] = new ort.Tensor('int64', groups, [groups.length]);
  for (const [name, { values, dims }] of Object.entries(inputs ?? {})) {
    feeds[name] = new ort.Tensor('float64', Float64Array.from(values), dims);
  }
  return feeds;
}

function compare(
  parameters: readonly Parameter[],
  written: Float64Array,
  wide: Float64Array,
  narrow: Float64Array,
  loss: number,
  { share, least } = { share: smallShare, least: 1e-4 },
): GradientCheck {
  let [worst, at, checked, kinks] = [0, '', 0, 0];
  for (const { name, offset, length } of parameters) {
    const largest = wide
      .subarray(offset, offset + length)
      .reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    for (let i = 0; i < length; i++) {
      const [g, d, fine] = [written[offset + i]!, wide[offset + i]!, narrow[offset + i]!];
      // Rounding: a loss of size 1 carries 1e-16, divided by the step.
      const scale = Math.max(Math.abs(d), largest * share, least);
      if (Math.abs(d - fine) > 5e-6 * scale) {
        kinks++;
        continue;
      }
      checked++;
      const difference = Math.abs(g - d) / scale;
      // Written so that NaN counts as the worst of all.
      if (!(difference <= worst))
        [worst, at] = [Number.isNaN(difference) ? Infinity : difference, `${name}[${i}]`];
    }
  }
  return { worst, at, checked, kinks, loss };
}
