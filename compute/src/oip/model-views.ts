import type { Datatype } from '@hotloop/model/tensor.ts';
import { type TensorDescription, usesDevice } from '../runner/load-options.ts';
import type { KnownVersion } from '../slots/known-versions.ts';

/**
 * A version as the protocol describes it: metadata, configuration and statistics, with the field names of its
 * messages.
 */
export const PLATFORM = 'onnxruntime_onnx';
export const BACKEND = 'onnxruntime';
export const SERVER_NAME = 'hotloop';
export const SERVER_VERSION = '0.1.0';
/** Only extensions that work here, because clients use those in this list. */
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
    inputs: [...model.inputs, ...(model.optional ?? [])].map(metadata),
    outputs: model.outputs.map(metadata),
  };
}

/**
 * True for a version that is described as batching: requests may share a run. A model with one value per row is
 * described as not batching; otherwise its inputs would have no dimension left, which clients cannot send.
 */
function hasBatches({ model, isShareable }: KnownVersion): boolean {
  return isShareable && model.inputs.every(({ shape }) => shape.length > 1);
}

/** The configuration of a version. Shapes omit the batch dimension of a batching version. */
export function configOf(known: KnownVersion) {
  const { record, model, executionProviders } = known;
  const { runtime } = record.manifest;
  const batches = hasBatches(known);
  const tensor = (description: TensorDescription) => ({
    name: description.name,
    data_type: CONFIG_TYPE[description.datatype],
    dims: description.shape.slice(batches ? 1 : 0),
  });
  const isGpu = usesDevice(executionProviders);
  return {
    name: record.model,
    platform: PLATFORM,
    backend: BACKEND,
    version_policy: { specific: { versions: [record.version] } },
    max_batch_size: batches ? runtime.max_batch : 0,
    input: [
      ...model.inputs.map(tensor),
      ...(model.optional ?? []).map((input) => ({
        ...tensor(input),
        dims: [...input.shape],
        optional: true,
      })),
    ],
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
/** Input and output processing, whose time is part of the queue time and not measured separately. */
const uncounted = ({ count }: Counted) => ({ count, ns: 0 });

/**
 * For a version described as not batching: each run counts as one request. If the version later proved that requests
 * can share a run, some of the runs served several requests.
 */
function asBatchesOfOne(runs: Iterable<Counted>): [number, Counted][] {
  let count = 0;
  let us = 0;
  for (const run of runs) {
    count += run.count;
    us += run.us;
  }
  return count === 0 ? [] : [[1, { count, us }]];
}

/**
 * The statistics of a version; `memoryBytes` is its current memory. For a version described as not batching, the
 * first dimension is not a number of rows, so each request counts as one inference, as clients expect from the
 * configuration. Runs are still listed by their rows when requests of one value per row share runs, because the
 * number of requests per run is not recorded.
 */
export function statisticsOf(known: KnownVersion, memoryBytes: number) {
  const { record, statistics, isShareable } = known;
  const runs: readonly [number, Counted][] = isShareable
    ? [...statistics.runs].sort(([a], [b]) => a - b)
    : asBatchesOfOne(statistics.runs.values());
  return {
    name: record.model,
    version: String(record.version),
    last_inference: Math.round(statistics.lastAt),
    inference_count: hasBatches(known) ? statistics.rows : statistics.success.count,
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
    batch_stats: runs.map(([size, run]) => ({
      batch_size: size,
      compute_input: uncounted(run),
      compute_infer: inNanoseconds(run),
      compute_output: uncounted(run),
    })),
    memory_usage: [{ type: 'CPU', id: 0, byte_size: memoryBytes }],
  };
}
