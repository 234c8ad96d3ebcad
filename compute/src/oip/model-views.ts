import type { Datatype } from '@hotloop/platform/ports/tensor.ts';
import type { TensorDescription } from '../runner/load-options.ts';
import type { KnownVersion } from '../slots/known-versions.ts';

/** What the protocol says of a version: metadata, configuration and statistics, in the words of its messages. */
export const PLATFORM = 'onnxruntime_onnx';
export const BACKEND = 'onnxruntime';
export const SERVER_NAME = 'hotloop';
export const SERVER_VERSION = '0.1.0';
/** Only what works here; clients ask for what stands in this list. */
export const EXTENSIONS = [
  'model_repository',
  'model_configuration',
  'binary_tensor_data',
  'parameters',
  'statistics',
];

const CONFIG_TYPE: Readonly<Record<Datatype, string>> = {
  BOOL: 'TYPE_BOOL',
  UINT8: 'TYPE_UINT8',
  UINT16: 'TYPE_UINT16',
  UINT32: 'TYPE_UINT32',
  UINT64: 'TYPE_UINT64',
  INT8: 'TYPE_INT8',
  INT16: 'TYPE_INT16',
  INT32: 'TYPE_INT32',
  INT64: 'TYPE_INT64',
  FP16: 'TYPE_FP16',
  BF16: 'TYPE_BF16',
  FP32: 'TYPE_FP32',
  FP64: 'TYPE_FP64',
  BYTES: 'TYPE_STRING',
};

export interface TensorMetadata {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: number[];
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: string[];
  readonly platform: string;
  readonly inputs: TensorMetadata[];
  readonly outputs: TensorMetadata[];
}

export function metadataOf({ record, model }: KnownVersion, versions: readonly number[]): ModelMetadata {
  const metadata = ({ name, datatype, shape }: TensorDescription): TensorMetadata => ({
    name,
    datatype,
    shape: [...shape],
  });
  return {
    name: record.model,
    versions: versions.map(String),
    platform: PLATFORM,
    inputs: model.inputs.map(metadata),
    outputs: model.outputs.map(metadata),
  };
}

/**
 * A version's configuration. Dimensions leave out the batch where requests may share a run. A model that takes one value a
 * row would be left with none, which clients cannot send: it is described like a model without batches.
 */
export function configOf({ record, model, isShareable, executionProviders }: KnownVersion) {
  const { runtime } = record.manifest;
  const batches = isShareable && model.inputs.every(({ shape }) => shape.length > 1);
  const tensor = (description: TensorDescription) => ({
    name: description.name,
    data_type: CONFIG_TYPE[description.datatype],
    dims: description.shape.slice(batches ? 1 : 0),
  });
  const isGpu = executionProviders.some((provider) => provider !== 'cpu');
  return {
    name: record.model,
    platform: PLATFORM,
    backend: BACKEND,
    version_policy: { specific: { versions: [record.version] } },
    max_batch_size: batches ? runtime.max_batch : 0,
    input: model.inputs.map(tensor),
    output: model.outputs.map(tensor),
    instance_group: [{ name: record.model, count: runtime.instances, kind: isGpu ? 'KIND_GPU' : 'KIND_CPU' }],
    default_model_filename: 'model.onnx',
    ...(batches ? { dynamic_batching: { preferred_batch_size: [], max_queue_delay_microseconds: 0 } } : {}),
    model_transaction_policy: { decoupled: false },
    response_cache: { enable: false },
  };
}

interface Counted {
  readonly count: number;
  readonly us: number;
}

const nothing = { count: 0, ns: 0 };
const inNanoseconds = ({ count, us }: Counted) => ({ count, ns: Math.round(us * 1000) });
/** Done while the front assembles and splits, which is not told apart from waiting. */
const uncounted = ({ count }: Counted) => ({ count, ns: 0 });

/** `memoryBytes` is what it takes now. */
export function statisticsOf({ record, statistics }: KnownVersion, memoryBytes: number) {
  return {
    name: record.model,
    version: String(record.version),
    last_inference: Math.round(statistics.lastAt),
    inference_count: statistics.rows,
    execution_count: statistics.runCount,
    inference_stats: {
      success: inNanoseconds(statistics.success),
      fail: inNanoseconds(statistics.fail),
      queue: inNanoseconds(statistics.queue),
      compute_input: uncounted(statistics.success),
      compute_infer: inNanoseconds(statistics.infer),
      compute_output: uncounted(statistics.success),
      cache_hit: nothing,
      cache_miss: nothing,
    },
    batch_stats: [...statistics.runs]
      .sort(([a], [b]) => a - b)
      .map(([rows, run]) => ({
        batch_size: rows,
        compute_input: uncounted(run),
        compute_infer: inNanoseconds(run),
        compute_output: uncounted(run),
      })),
    memory_usage: [{ type: 'CPU', id: 0, byte_size: memoryBytes }],
  };
}
