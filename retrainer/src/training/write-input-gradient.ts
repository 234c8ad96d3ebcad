import { GraphBuilder, int } from '@hotloop/model/onnx/graph-builder.ts';
import { encodeModel, type OnnxModel } from '@hotloop/model/onnx/model.ts';
import { int64Tensor } from '@hotloop/model/onnx/tensor.ts';
import { unsound } from '@hotloop/model/onnx/unsound.ts';
import { differentiate } from './differentiate.ts';
import { floatTensor, GradientWriter } from './gradient-writer.ts';
import { inferShapes } from './infer-shapes.ts';
import {
  adoptForward,
  constantsOf,
  minOpset,
  namesOf,
  nodesBefore,
  reserved,
  writtenOpset,
} from './write-training-graph.ts';

export interface InputGradientOptions {
  /** The output that is differentiated. Default: the model's first. */
  readonly output?: string | undefined;
  /** Which of the output's columns; null where the output is one number a row without a column. */
  readonly column: number | null;
  /** Columns of the output. */
  readonly columns: number;
}

const NAME = `${reserved}score_and_gradient`;

/**
 * Writes a graph that gives, for each row of the model's one input float32[N, F], the chosen score and its gradient by the row: one
 * output float32[N, 1 + F]. Rows must not depend on each other.
 *
 * @throws a coded error (INVALID_ARGUMENT) when a node on the way has no gradient, or the score does not change smoothly with the input.
 */
export function writeInputGradient(model: OnnxModel, options: InputGradientOptions): Uint8Array {
  const { graph } = model;
  const declared = model.opsets.get('') ?? 0;
  if (declared < minOpset) throw unsound(`gradients need operator set ${minOpset} or newer, not ${declared}`);
  const inputs = graph.inputs.filter(({ name }) => !graph.initializers.has(name));
  const [input] = inputs;
  if (!input || inputs.length !== 1 || input.elementType !== 'float32')
    throw unsound('gradients by the input need a model of one float32 input');
  const target = options.output ?? graph.outputs[0]?.name ?? '';
  const opset = Math.max(declared, writtenOpset);
  const builder = new GraphBuilder(reserved, namesOf(graph));
  const writer = new GradientWriter(builder, {
    floatType: 'float32',
    opset,
    shapes: inferShapes(graph),
    constants: constantsOf(graph),
  });
  const forward = nodesBefore(graph, target);
  adoptForward(builder, graph, forward, new Set());
  for (const node of forward) builder.adopt(node);
  const { column, columns } = options;
  const chosen =
    column === null
      ? writer.scalar(1)
      : writer.constant('chosen', floatTensor('float32', oneHot(column, columns)));
  const seed = writer.op('Add', [writer.zerosLike(target), chosen]);
  const gradients = differentiate({
    nodes: forward,
    writer,
    seeds: new Map([[target, seed]]),
    wanted: new Set([input.name]),
  });
  const gradient = gradients.get(input.name);
  if (gradient === undefined) throw unsound('the score does not change smoothly with the input');
  const one =
    column === null
      ? target
      : writer.op('Gather', [target, writer.constant('column', int64Tensor([column]))], { axis: int(1) });
  const score = writer.op('Reshape', [one, writer.integers([-1, 1])]);
  const both = writer.op('Concat', [score, gradient], { axis: int(1) });
  builder.rename(both, NAME);
  builder.output(NAME, 'float32', ['N', null]);
  const header = { irVersion: Math.max(model.irVersion, 8), opset: new Map([...model.opsets, ['', opset]]) };
  return encodeModel(builder.build('input_gradient', header));
}

function oneHot(at: number, length: number): Float32Array {
  const values = new Float32Array(length);
  values[at] = 1;
  return values;
}
