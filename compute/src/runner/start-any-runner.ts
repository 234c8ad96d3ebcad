import { inspectModel, type TensorSpec } from '@hotloop/model/onnx/inspect.ts';
import { type DefaultInput, openDefaults } from '@hotloop/model/onnx/open-defaults.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { encodeElements } from '../oip/typed-contents.ts';
import type { FrameTensor } from './frames.ts';
import { DATATYPE_OF } from './load-options.ts';
import { type DefaultTensor, type Runner, type RunnerOptions, startRunner } from './runner.ts';
import { narrowed, widenBfloat16 } from './widen-bfloat16.ts';

/**
 * Like startRunner, but also supports what the runtime's binding does not: bfloat16 inputs and outputs, and inputs
 * with a default that a request may override.
 */
export async function startAnyRunner(
  file: Uint8Array,
  given: RunnerOptions,
  log: Log,
  signal: AbortSignal,
): Promise<Runner> {
  const { inputs, outputs, withDefault } = inspectModel(file);
  const { onnx, defaults, fixed } =
    withDefault.length === 0 ? { onnx: file, defaults: [], fixed: [] } : openDefaults(file);
  const options = { ...given, defaults: defaults.map(toFrameTensor), fixed };
  const narrowInputs = namesOf(inputs);
  const narrowOutputs = namesOf(outputs);
  if (narrowInputs.size + narrowOutputs.size === 0) return startRunner(onnx, options, log, signal);
  const runner = await startRunner(widenBfloat16(onnx), options, log, signal);
  return narrowed(runner, narrowInputs, narrowOutputs);
}

function namesOf(tensors: readonly TensorSpec[]): ReadonlySet<string> {
  return new Set(tensors.filter((tensor) => tensor.elementType === 'bfloat16').map((tensor) => tensor.name));
}

/** A default as it is sent to the runner. */
function toFrameTensor({ spec, value }: DefaultInput, index: number): DefaultTensor {
  const datatype = DATATYPE_OF[value.elementType];
  if (datatype === undefined) throw new RangeError(`${spec.name}: no tensor of ${value.elementType}`);
  const { data } = value;
  const bytes = ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : encodeElements(spec.name, 'BYTES', data);
  const tensor: FrameTensor = { index, datatype, shape: value.dims, pieces: [bytes] };
  return { name: spec.name, tensor };
}
