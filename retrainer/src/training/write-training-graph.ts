import { GraphBuilder } from '@hotloop/model/onnx/graph-builder.ts';
import { encodeModel, type OnnxGraph, type OnnxModel, type OnnxNode } from '@hotloop/model/onnx/model.ts';
import { namesRead } from '@hotloop/model/onnx/node-attributes.ts';
import { elementCount, int64Tensor, type OnnxTensor } from '@hotloop/model/onnx/tensor.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import {
  type LossName,
  type LossSpec,
  lossSpec,
  type Optimizer,
  type Trainable,
} from '@hotloop/model/training/training-settings.ts';
import { chooseParameters } from './choose-parameters.ts';
import { differentiate } from './differentiate.ts';
import { type FloatType, floatTensor, type GradientRule, GradientWriter } from './gradient-writer.ts';
import { gradientRuleOf } from './gradients/gradient-rules.ts';
import { constantOf, inferShapes } from './infer-shapes.ts';
import { planLoss } from './losses.ts';
import { writeClipped, writeUpdate } from './optimizers.ts';
import { needsGroups } from './ranking-losses.ts';
import { widenModel } from './widen-model.ts';

/** How every name starts that training adds to a graph. */
export const reserved = 'hotloop/';

/**
 * The names of a training graph's own inputs and outputs; the model's inputs keep theirs. N is the batch, P the
 * number of trained values; `float` is the graph's floating point type.
 */
export const trainingNames = {
  /** in, float[P]: every trained weight, one after another in the order of `parameters` */
  parameters: 'hotloop/parameters',
  /** in, float[P]: what the optimizer remembers of earlier gradients; zeros at the start */
  firstMoment: 'hotloop/first_moment',
  secondMoment: 'hotloop/second_moment',
  /** in, float64 scalar: 1 for the first update */
  step: 'hotloop/step',
  /** in, float64 scalar: above 0 */
  learningRate: 'hotloop/learning_rate',
  /** in, float[N] */
  labels: 'hotloop/labels',
  /** in, float[N]: above 0 */
  weights: 'hotloop/weights',
  /** in, int64[N], for losses that rank: rows of the same number are ranked among themselves */
  groups: 'hotloop/groups',
  /** out, float scalar: the batch's weighted mean loss before the update */
  loss: 'hotloop/loss',
  /** out, float[P] */
  gradient: 'hotloop/gradient',
  newParameters: 'hotloop/new_parameters',
  newFirstMoment: 'hotloop/new_first_moment',
  newSecondMoment: 'hotloop/new_second_moment',
} as const;

/** One trained weight: where it lies in the vector of all parameters. */
export interface Parameter {
  readonly name: string;
  readonly dims: readonly number[];
  readonly offset: number;
  readonly length: number;
}

export interface TrainingGraph {
  /** The graph as an ordinary ONNX file. */
  readonly bytes: Uint8Array;
  readonly floatType: FloatType;
  readonly parameters: readonly Parameter[];
  /** The model's weights as they are now, as `trainingNames.parameters` takes them. */
  readonly initial: Float32Array | Float64Array;
}

export interface TrainingGraphOptions {
  readonly loss: LossName | LossSpec;
  /** The largest length of the gradient in an update. Default: any. */
  readonly clipNorm?: number;
  /** Weights are drawn to their initial values: this / 2 times the squared distance joins the loss of an update. */
  readonly parentPenalty?: number;
  /** Which of the model's outputs the loss is taken of. Default: its first. */
  readonly output?: string;
  readonly trainable?: Trainable;
  /** Default: float32, as models are. float64 rewrites the whole model to it. */
  readonly floatType?: FloatType;
  /**
   * `loss` computes only the loss; `gradient` also its gradient; an optimizer, the whole step. Graphs of one model and
   * one choice of trainable weights share the meaning of `parameters`.
   */
  readonly until: 'loss' | 'gradient' | Optimizer;
  /** Tests put a wrong rule here to see it caught. */
  readonly ruleOf?: (domain: string, operator: string) => GradientRule | undefined;
}

/** The oldest operator set whose ReduceSum, Squeeze and Softmax mean what gradients write. */
export const minOpset = 13;
/**
 * The oldest operator set a training graph is written in: ScatterElements can add up from here on. What operator sets
 * 13 to 15 mean, 16 means too for every operator with a gradient rule.
 */
export const writtenOpset = 16;

/**
 * Writes the graph of one training step from a model: its forward nodes, the loss, the gradients and the optimizer's
 * update, all in ordinary ONNX operators that any runtime executes. Pure: the same model and options give the same
 * bytes.
 *
 * @throws a coded error (INVALID_ARGUMENT) when a node on the way cannot be trained through, naming it.
 */
export function writeTrainingGraph(original: OnnxModel, options: TrainingGraphOptions): TrainingGraph {
  const floatType = options.floatType ?? 'float32';
  const model = floatType === 'float64' ? widenModel(original) : original;
  const declared = model.opsets.get('') ?? 0;
  if (declared < minOpset) {
    throw unsound(
      `training needs operator set ${minOpset} or newer; the model uses ${declared}: export it again`,
    );
  }
  const opset = Math.max(declared, writtenOpset);
  const { graph } = model;
  const output = chosenOutput(graph, options.output);
  const builder = new GraphBuilder(reserved, namesOf(graph));
  const writer = new GradientWriter(builder, {
    floatType,
    opset,
    shapes: inferShapes(graph),
    constants: constantsOf(graph),
  });
  const { labels, weights, groups } = trainingNames;
  const chosenLoss = lossSpec(options.loss);
  const loss = planLoss(chosenLoss, graph, output, writer, { labels, weights, groups });
  const forward = nodesBefore(graph, loss.target);
  const names = chooseParameters(graph, forward, loss.target, options.trainable ?? 'all', floatType);
  const parameters = layOut(names, graph);

  adoptForward(builder, graph, forward, new Set(names));
  const total = parameters.reduce((sum, parameter) => sum + parameter.length, 0);
  builder.input(labels, floatType, ['N']);
  builder.input(weights, floatType, ['N']);
  if (needsGroups(chosenLoss.name)) builder.input(groups, 'int64', ['N']);
  builder.input(trainingNames.parameters, floatType, [total]);
  unpack(builder, writer, parameters);
  for (const node of forward) builder.adopt(node);
  yieldAs(builder, loss.writeLoss(), trainingNames.loss, floatType, []);

  const initial = initialValues(graph, parameters, floatType, total);
  const shaped = (gradient: string): string => {
    const { clipNorm, parentPenalty = 0 } = options;
    const pull = () => {
      const parent = builder.constant('parent', floatTensor(floatType, initial));
      const away = writer.op('Sub', [trainingNames.parameters, parent]);
      return writer.op('Add', [gradient, writer.op('Mul', [away, writer.scalar(parentPenalty)])]);
    };
    const pulled = parentPenalty > 0 ? pull() : gradient;
    return clipNorm === undefined ? pulled : writeClipped(writer, pulled, clipNorm);
  };

  if (options.until !== 'loss') {
    const seeds = new Map([[loss.target, loss.writeGradient()]]);
    const ruleOf = options.ruleOf ?? gradientRuleOf;
    const gradients = differentiate({ nodes: forward, writer, seeds, wanted: new Set(names), ruleOf });
    const gradient = pack(writer, parameters, gradients);
    if (options.until === 'gradient') yieldAs(builder, gradient, trainingNames.gradient, floatType, [total]);
    else update(builder, writer, options.until, shaped(gradient), parameters, total);
  }
  const header = { irVersion: Math.max(model.irVersion, 8), opset: new Map([...model.opsets, ['', opset]]) };
  return {
    bytes: encodeModel(builder.build('training_step', header)),
    floatType,
    parameters,
    initial,
  };
}

function chosenOutput(graph: OnnxGraph, wanted: string | undefined): string {
  const output = wanted === undefined ? graph.outputs[0] : graph.outputs.find(({ name }) => name === wanted);
  if (output) return output.name;
  throw unsound(
    `the model has no output ${quoted(wanted ?? '')}; it has ${graph.outputs.map((o) => quoted(o.name))}`,
  );
}

/** @returns every name of the graph but its inputs', which the training graph declares again. */
export function namesOf(graph: OnnxGraph): ReadonlySet<string> {
  const names = new Set([...graph.initializers.keys(), ...graph.nodes.flatMap((node) => node.outputs)]);
  for (const name of [...names, ...graph.inputs.map((input) => input.name)]) {
    if (name.startsWith(reserved))
      throw unsound(`the model uses the name ${quoted(name)}; '${reserved}' is kept for training`);
  }
  return names;
}

/** @returns the constants of a graph by name: its initializers and what its Constant nodes hold. */
export function constantsOf(graph: OnnxGraph): ReadonlyMap<string, OnnxTensor> {
  const constants = new Map(graph.initializers);
  for (const node of graph.nodes) {
    const tensor = constantOf(node);
    if (tensor) constants.set(node.outputs[0]!, tensor);
  }
  return constants;
}

/** @returns the nodes that a value is computed by, in topological order. */
export function nodesBefore(graph: OnnxGraph, target: string): readonly OnnxNode[] {
  const needed = new Set([target]);
  const kept: OnnxNode[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    for (const name of namesRead(node)) needed.add(name);
    kept.push(node);
  }
  return kept.reverse();
}

function layOut(names: readonly string[], graph: OnnxGraph): readonly Parameter[] {
  let offset = 0;
  return names.map((name) => {
    const { dims } = graph.initializers.get(name)!;
    const parameter = { name, dims, offset, length: elementCount(dims) };
    offset += parameter.length;
    return parameter;
  });
}

/** Takes over the inputs and the constant initializers that the forward nodes read. */
export function adoptForward(
  builder: GraphBuilder,
  graph: OnnxGraph,
  forward: readonly OnnxNode[],
  trained: ReadonlySet<string>,
): void {
  const read = new Set(forward.flatMap(namesRead));
  for (const { name, elementType, shape } of graph.inputs) {
    if (read.has(name) && !graph.initializers.has(name)) builder.input(name, elementType, shape);
  }
  for (const [name, tensor] of graph.initializers) {
    if (read.has(name) && !trained.has(name)) builder.adoptInitializer(name, tensor);
  }
}

/** Cuts the vector of all parameters into the weights that the forward nodes read. */
function unpack(builder: GraphBuilder, writer: GradientWriter, parameters: readonly Parameter[]): void {
  const lengths = parameters.map(({ length }) => length);
  const parts =
    parameters.length === 1
      ? [trainingNames.parameters]
      : writer.opOf('Split', [trainingNames.parameters, writer.integers(lengths)], parameters.length);
  for (const [i, { name, dims }] of parameters.entries()) {
    const shape = builder.constant('dims', int64Tensor(dims));
    builder.adopt({
      name: `hotloop/unpack/${name}`,
      operator: 'Reshape',
      domain: '',
      inputs: [parts[i]!, shape],
      outputs: [name],
      attributes: new Map(),
    });
  }
}

/** Puts the gradients of all weights into one vector, in the order of the parameters. */
function pack(
  writer: GradientWriter,
  parameters: readonly Parameter[],
  gradients: ReadonlyMap<string, string>,
): string {
  const flat = parameters.map(({ name, length }) => {
    const gradient = gradients.get(name);
    if (gradient !== undefined) return writer.op('Reshape', [gradient, writer.integers([length])]);
    return writer.op('Expand', [writer.scalar(0), writer.integers([length])]);
  });
  return flat.length === 1 ? flat[0]! : writer.concat(flat);
}

function update(
  builder: GraphBuilder,
  writer: GradientWriter,
  optimizer: Optimizer,
  gradient: string,
  parameters: readonly Parameter[],
  total: number,
): void {
  const { floatType } = writer;
  const { firstMoment, secondMoment, step, learningRate } = trainingNames;
  builder.input(firstMoment, floatType, [total]);
  builder.input(secondMoment, floatType, [total]);
  builder.input(step, 'float64', []);
  builder.input(learningRate, 'float64', []);
  const decay = new Float64Array(total);
  for (const { dims, offset, length } of parameters)
    if (dims.length > 1) decay.fill(optimizer.weightDecay ?? 0, offset, offset + length);
  const written = writeUpdate(optimizer, writer, {
    parameters: trainingNames.parameters,
    gradient,
    firstMoment,
    secondMoment,
    step,
    learningRate,
    decay: optimizer.weightDecay ? builder.constant('decay', floatTensor(floatType, decay)) : null,
  });
  yieldAs(builder, written.parameters, trainingNames.newParameters, floatType, [total]);
  yieldAs(builder, written.firstMoment, trainingNames.newFirstMoment, floatType, [total]);
  yieldAs(builder, written.secondMoment, trainingNames.newSecondMoment, floatType, [total]);
}

function yieldAs(
  builder: GraphBuilder,
  value: string,
  name: string,
  floatType: FloatType,
  shape: readonly number[],
): void {
  builder.rename(value, name);
  builder.output(name, floatType, shape);
}

function initialValues(
  graph: OnnxGraph,
  parameters: readonly Parameter[],
  floatType: FloatType,
  total: number,
): Float32Array | Float64Array {
  const values = floatType === 'float64' ? new Float64Array(total) : new Float32Array(total);
  for (const { name, offset } of parameters) {
    values.set(graph.initializers.get(name)!.data as Float32Array | Float64Array, offset);
  }
  return values;
}
