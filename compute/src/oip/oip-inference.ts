import type { Clock } from '@hotloop/platform/clock.ts';
import { resolveVersion } from '@hotloop/platform/registry/resolve-version.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { isPredictionId, type PredictionIds } from '@hotloop/proto/prediction-id.ts';
import type { Infer } from '../infer.ts';
import { checkPredictionId } from '../infer-checks.ts';
import { elementCount } from '../runner/tensor-layout.ts';
import type { Serving } from '../slots/slot.ts';
import type { OipAnswer, OipRequest, OipTensor } from './oip-request.ts';
import { laneOf } from './priority-lane.ts';
import { checkContents, matchInputs, matchOutputs } from './tensor-checks.ts';

/** Resolves to a version that accepts work; loads it first if it is registered but not loaded. */
export type AcquireVersion = (
  model: string,
  version: number,
  timeoutMs: number,
) => Serving | Promise<Serving>;

export interface OipInferenceAdapters {
  readonly registry: RegistryReader;
  readonly infer: Infer;
  readonly ids: PredictionIds;
  readonly clock: Clock;
  readonly acquire: AcquireVersion;
}

/** Callers that send tensors compute every feature themselves, so none is missing. */
const ALL_PRESENT = new Uint8Array();

/**
 * Inference on tensors for a model by name: find the version, check every tensor against it, run, log, answer. The
 * log uses the request's own id if it is a valid prediction id, so that a retried request is logged once; otherwise
 * an id is generated.
 */
export class OipInference {
  readonly #adapters: OipInferenceAdapters;

  constructor(adapters: OipInferenceAdapters) {
    this.#adapters = adapters;
  }

  async answer(request: OipRequest, caller: string, isOver: () => boolean): Promise<OipAnswer> {
    const { registry, infer, ids, clock, acquire } = this.#adapters;
    const priority = laneOf(request.priority);
    const { record, variant } = resolveVersion(registry.current(), request.model, request.version);
    const found = acquire(record.model, record.version, request.timeoutMs);
    let serving: Serving;
    let { timeoutMs } = request;
    if (found instanceof Promise) {
      const askedAt = clock.monotonic();
      serving = await found;
      timeoutMs -= clock.monotonic() - askedAt;
    } else serving = found;
    const { model } = serving;
    const what = `${record.model} version ${record.version}`;
    const inputs = matchInputs(model, request.inputs, what);
    for (const input of inputs) checkContents(input);
    const wanted = matchOutputs(model, request.outputs, what);
    request.checkOutputs?.(wanted.flatMap((index) => model.outputs[index] ?? []));
    const now = clock.now();
    const isCallersId = isPredictionId(request.id);
    if (isCallersId) checkPredictionId(request.id, now);
    const predictionId = isCallersId ? request.id : ids.next(now);
    const { rows, columns } = sizeOf(inputs);
    const question = {
      predictionId,
      model: record.model,
      version: record.version,
      variant,
      caller,
      entities: {},
      candidates: [],
      degraded: [],
      statuses: ALL_PRESENT,
      priority,
      timeoutMs,
      isOver,
    };
    const output = await infer.run(serving, question, inputs, rows, columns);
    const outputs = wanted.flatMap((index) => output.outputs[index] ?? []);
    return { model: record.model, version: record.version, id: request.id, predictionId, outputs };
  }
}

/**
 * Rows: the first dimension of the inputs without a default. Columns: the width of a single two-dimensional input,
 * else 0.
 */
function sizeOf(inputs: readonly OipTensor[]): { rows: number; columns: number } {
  const [first, ...others] = inputs;
  const shape = first === undefined || first.index !== undefined ? [] : first.shape;
  const rows = shape[0] ?? 1;
  const isTable = others.length === 0 && first?.datatype === 'FP32';
  return { rows, columns: isTable ? elementCount(shape.slice(1)) : 0 };
}
