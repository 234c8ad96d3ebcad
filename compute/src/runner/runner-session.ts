import type { Datatype } from '@hotloop/model/tensor.ts';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { FrameTensor, ReceivedTensor } from './frames.ts';
import { DATATYPE_OF, type LoadedModel, type LoadOptions, type TensorDescription } from './load-options.ts';

type NumericArray =
  | Float32Array
  | Float64Array
  | Uint16Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint32Array
  | BigUint64Array;

type ArrayType = new (buffer: ArrayBuffer, offset: number, length: number) => NumericArray;

interface Layout {
  readonly type: Tensor.Type;
  readonly array: ArrayType;
  readonly bytes: number;
}

const LAYOUTS: Readonly<Partial<Record<Datatype, Layout>>> = {
  FP32: { type: 'float32', array: Float32Array, bytes: 4 },
  FP64: { type: 'float64', array: Float64Array, bytes: 8 },
  FP16: { type: 'float16', array: Uint16Array, bytes: 2 },
  INT8: { type: 'int8', array: Int8Array, bytes: 1 },
  INT16: { type: 'int16', array: Int16Array, bytes: 2 },
  INT32: { type: 'int32', array: Int32Array, bytes: 4 },
  INT64: { type: 'int64', array: BigInt64Array, bytes: 8 },
  UINT8: { type: 'uint8', array: Uint8Array, bytes: 1 },
  UINT16: { type: 'uint16', array: Uint16Array, bytes: 2 },
  UINT32: { type: 'uint32', array: Uint32Array, bytes: 4 },
  UINT64: { type: 'uint64', array: BigUint64Array, bytes: 8 },
  BOOL: { type: 'bool', array: Uint8Array, bytes: 1 },
};

/** A loaded model inside the runner. This is the only place that uses ONNX Runtime. */
export interface RunnerSession {
  readonly model: LoadedModel;
  /** Runs the model once. The inputs' memory may be reused when it resolves. Throws the runtime's error. */
  run(inputs: readonly ReceivedTensor[]): Promise<FrameTensor[]>;
}

/** Loads a model from memory. Threads do not spin while they wait. */
export async function loadSession(
  onnx: Uint8Array,
  options: LoadOptions,
  defaults: readonly ReceivedTensor[],
): Promise<RunnerSession> {
  const session = await InferenceSession.create(onnx, {
    executionProviders: [...options.executionProviders],
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
  });
  const described = session.inputMetadata.map(describe);
  const model = {
    inputs: described.filter(({ name }) => !options.defaults.includes(name)),
    optional: options.defaults.flatMap((name) => described.find((input) => input.name === name) ?? []),
    outputs: session.outputMetadata.map(describe),
  };
  const feeds: Record<string, Tensor> = {};
  for (const [index, tensor] of defaults.entries()) {
    const name = options.defaults[index];
    // A copy, because the memory of the received frame is reused for the next frame.
    if (name !== undefined)
      feeds[name] = toRuntime({ ...tensor, contents: Uint8Array.from(tensor.contents) });
  }
  return { model, run: (inputs) => runOnce(session, model, feeds, inputs) };
}

/**
 * Placeholder names of dimensions, which mean "no name". The runtime reports unnamed dimensions as empty. Some
 * converters give all dimensions the same name although they differ; others number them although they are the same.
 */
const NO_NAME = /^(?:\?|-1|none|unknown|unk__\d+|.*_dynamic_axes_\d+|(?:p2o\.)?DynamicDimension\.\d+)?$/i;

function describe(metadata: InferenceSession.ValueMetadata): TensorDescription {
  if (!metadata.isTensor) throw new Error(`'${metadata.name}' is not a tensor`);
  const datatype = DATATYPE_OF[metadata.type];
  if (datatype === undefined)
    throw new Error(`'${metadata.name}' has the element type ${metadata.type}, which is not supported`);
  return {
    name: metadata.name,
    datatype,
    shape: metadata.shape.map((dimension) => (typeof dimension === 'number' ? dimension : -1)),
    dimensionNames: metadata.shape.map((dimension) =>
      typeof dimension === 'string' && !NO_NAME.test(dimension) ? dimension : null,
    ),
  };
}

async function runOnce(
  session: InferenceSession,
  model: Required<Pick<LoadedModel, 'inputs' | 'optional' | 'outputs'>>,
  defaults: Readonly<Record<string, Tensor>>,
  inputs: readonly ReceivedTensor[],
): Promise<FrameTensor[]> {
  const feeds = { ...defaults };
  for (const input of inputs) {
    const description = model.inputs[input.index] ?? model.optional[input.index - model.inputs.length];
    if (description) feeds[description.name] = toRuntime(input);
  }
  const results = await session.run(feeds);
  return model.outputs.map((output, index) => {
    const tensor = results[output.name];
    if (!tensor) throw new Error(`the model did not return the output '${output.name}'`);
    return fromRuntime(index, output.datatype, tensor);
  });
}

function toRuntime(input: ReceivedTensor): Tensor {
  if (input.datatype === 'BYTES') return new Tensor('string', decodeTexts(input.contents), input.shape);
  const layout = LAYOUTS[input.datatype];
  if (!layout) throw new Error(`datatype ${input.datatype} is not supported by the runtime`);
  const { buffer, byteOffset, byteLength } = input.contents;
  const data = new layout.array(buffer as ArrayBuffer, byteOffset, byteLength / layout.bytes);
  // The constructor's overloads pair each type with its array; the table above contains the same pairs.
  return new (Tensor as new (type: Tensor.Type, data: NumericArray, dims: readonly number[]) => Tensor)(
    layout.type,
    data,
    input.shape,
  );
}

function fromRuntime(index: number, datatype: Datatype, tensor: Tensor): FrameTensor {
  if (tensor.type === 'string')
    return { index, datatype, shape: tensor.dims, pieces: [encodeTexts(tensor.data as string[])] };
  const data = tensor.data as NumericArray;
  const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  return { index, datatype, shape: tensor.dims, pieces: [bytes] };
}

function decodeTexts(bytes: Uint8Array): string[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: string[] = [];
  for (let at = 0; at < buffer.length; ) {
    const length = buffer.readUInt32LE(at);
    texts.push(buffer.toString('utf8', at + 4, at + 4 + length));
    at += 4 + length;
  }
  return texts;
}

function encodeTexts(texts: readonly string[]): Buffer {
  return Buffer.concat(
    texts.flatMap((text) => {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}
