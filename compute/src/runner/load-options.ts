import type { EXECUTION_PROVIDERS } from '@hotloop/model/manifest/runtime-schema.ts';
import type { Datatype } from '@hotloop/model/tensor.ts';

export type ExecutionProvider = (typeof EXECUTION_PROVIDERS)[number];

/** True if the model may run on a device other than the CPU. */
export function usesDevice(providers: readonly ExecutionProvider[]): boolean {
  return providers.some((provider) => provider !== 'cpu');
}

/** What a runner needs to know in addition to the model's bytes. */
export interface LoadOptions {
  readonly executionProviders: readonly ExecutionProvider[];
  readonly threads: number;
  /** Names of inputs that have a default. The default tensors follow the model's bytes, in this order. */
  readonly defaults: readonly string[];
}

/** An input or output as the runtime reports it. Free dimensions are -1; a named dimension also has its name. */
export interface TensorDescription {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly dimensionNames: readonly (string | null)[];
}

export interface LoadedModel {
  /** The inputs that every request must contain. */
  readonly inputs: readonly TensorDescription[];
  /** Inputs with a default, which a request may override. Their indices follow those of `inputs`. */
  readonly optional?: readonly TensorDescription[];
  /** Inputs whose default a request cannot override. */
  readonly fixed?: readonly string[];
  readonly outputs: readonly TensorDescription[];
}

/** Datatypes by their names in ONNX and in the runtime. */
export const DATATYPE_OF: Readonly<Record<string, Datatype>> = {
  float32: 'FP32',
  float64: 'FP64',
  float16: 'FP16',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  bool: 'BOOL',
  string: 'BYTES',
};
