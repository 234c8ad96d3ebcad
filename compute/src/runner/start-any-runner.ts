import { inspectModel, type TensorSpec } from '@hotloop/model/onnx/inspect.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { type Runner, type RunnerOptions, startRunner } from './runner.ts';
import { narrowed, widenBfloat16 } from './widen-bfloat16.ts';

/** Like startRunner, also for models that take or give bfloat16, which the runtime's binding does not know. */
export async function startAnyRunner(
  onnx: Uint8Array,
  options: RunnerOptions,
  log: Log,
  signal: AbortSignal,
): Promise<Runner> {
  const { inputs, outputs } = inspectModel(onnx);
  const narrowInputs = namesOf(inputs);
  const narrowOutputs = namesOf(outputs);
  if (narrowInputs.size + narrowOutputs.size === 0) return startRunner(onnx, options, log, signal);
  const runner = await startRunner(widenBfloat16(onnx), options, log, signal);
  return narrowed(runner, narrowInputs, narrowOutputs);
}

function namesOf(tensors: readonly TensorSpec[]): ReadonlySet<string> {
  return new Set(tensors.filter((tensor) => tensor.elementType === 'bfloat16').map((tensor) => tensor.name));
}
