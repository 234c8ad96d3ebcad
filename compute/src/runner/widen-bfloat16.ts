import { GraphBuilder, int } from '@hotloop/model/onnx/graph-builder.ts';
import {
  decodeModel,
  encodeModel,
  type OnnxGraph,
  type OnnxModel,
  type ValueSpec,
} from '@hotloop/model/onnx/model.ts';
import type { FrameTensor, ReceivedTensor } from './frames.ts';
import type { LoadedModel, TensorDescription } from './load-options.ts';
import type { Runner } from './runner.ts';

/** Codes of ONNX's element types. */
const FLOAT = 1;
const BFLOAT16 = 16;

/**
 * The runtime's binding has no bfloat16 tensors. In a model with bfloat16 inputs or outputs, these become 32-bit
 * floats with a cast behind them. Every bfloat16 is representable as a 32-bit float, so nothing is lost in either
 * direction. Returns the given bytes when there is no bfloat16 input or output.
 */
export function widenBfloat16(onnx: Uint8Array): Uint8Array {
  const model = decodeModel(onnx);
  const { graph } = model;
  const fed = graph.inputs.filter((input) => isNarrow(input) && !graph.initializers.has(input.name));
  const given = graph.outputs.filter(isNarrow);
  return fed.length + given.length === 0 ? onnx : encodeModel(widened(model, fed, given));
}

function isNarrow(value: ValueSpec): boolean {
  return value.elementType === 'bfloat16';
}

function widened(model: OnnxModel, fed: readonly ValueSpec[], given: readonly ValueSpec[]): OnnxModel {
  const { graph } = model;
  const names = [...graph.inputs.map((input) => input.name), ...graph.nodes.flatMap((node) => node.outputs)];
  const namer = new GraphBuilder('bfloat16', names);
  const inner = new Map([...fed, ...given].map(({ name }) => [name, namer.uniqueName(name)]));
  const rename = (name: string) => inner.get(name) ?? name;
  const before = new GraphBuilder();
  for (const { name } of fed) before.node('Cast', [name], { to: int(BFLOAT16) }, { outputs: [rename(name)] });
  const after = new GraphBuilder();
  for (const { name } of given) after.node('Cast', [rename(name)], { to: int(FLOAT) }, { outputs: [name] });
  const renamed = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
  }));
  const wide = (value: ValueSpec): ValueSpec =>
    isNarrow(value) ? { ...value, elementType: 'float32' } : value;
  const widenedGraph: OnnxGraph = {
    ...graph,
    nodes: [...before.nodes, ...renamed, ...after.nodes],
    inputs: graph.inputs.map((input) => (fed.includes(input) ? wide(input) : input)),
    outputs: graph.outputs.map(wide),
  };
  return { ...model, graph: widenedGraph };
}

/**
 * Wraps the runner of a widened model so that it accepts and returns bfloat16: inputs are widened, outputs narrowed.
 */
export function narrowed(runner: Runner, inputs: ReadonlySet<string>, outputs: ReadonlySet<string>): Runner {
  if (inputs.size + outputs.size === 0) return runner;
  const describe =
    (names: ReadonlySet<string>) =>
    (tensor: TensorDescription): TensorDescription =>
      names.has(tensor.name) ? { ...tensor, datatype: 'BF16' } : tensor;
  const model: LoadedModel = {
    ...runner.model,
    inputs: runner.model.inputs.map(describe(inputs)),
    outputs: runner.model.outputs.map(describe(outputs)),
  };
  return {
    pid: runner.pid,
    model,
    gone: runner.gone,
    memoryBytes: () => runner.memoryBytes(),
    ping: () => runner.ping(),
    kill: () => runner.kill(),
    async run(tensors) {
      const result = await runner.run(tensors.map(widenTensor));
      return { ...result, tensors: result.tensors.map((tensor) => narrowTensor(tensor, model)) };
    },
  };
}

function widenTensor(tensor: FrameTensor): FrameTensor {
  return tensor.datatype === 'BF16'
    ? { ...tensor, datatype: 'FP32', pieces: tensor.pieces.map(widen) }
    : tensor;
}

function narrowTensor(tensor: ReceivedTensor, model: LoadedModel): ReceivedTensor {
  if (model.outputs[tensor.index]?.datatype !== 'BF16') return tensor;
  return { ...tensor, datatype: 'BF16', contents: narrow(tensor.contents) };
}

/** A bfloat16 is the upper half of a 32-bit float. */
function widen(contents: Uint8Array): Uint8Array {
  const wide = new Uint8Array(contents.length * 2);
  for (let at = 0; at < contents.length; at += 2) wide.set(contents.subarray(at, at + 2), at * 2 + 2);
  return wide;
}

function narrow(contents: Uint8Array): Uint8Array {
  const half = new Uint8Array(contents.length / 2);
  for (let at = 0; at < half.length; at += 2) half.set(contents.subarray(at * 2 + 2, at * 2 + 4), at);
  return half;
}
