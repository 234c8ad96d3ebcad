import type { EXECUTION_PROVIDERS } from '@hotloop/model/manifest/runtime-schema.ts';
import type { Datatype } from '@hotloop/model/tensor.ts';

export type ExecutionProvider = (typeof EXECUTION_PROVIDERS)[number];

/** True where a model may run on anything but the processor. */
export function usesDevice(providers: readonly ExecutionProvider[]): boolean {
  return providers.some((provider) => provider !== 'cpu');
}

/** What a runner is told beside the model's bytes. */
export interface LoadOptions {
  readonly executionProviders: readonly ExecutionProvider[];
  readonly threads: number;
}

/** An input or output as the runtime reports it. Free dimensions are -1; a named one has its name beside. */
export interface TensorDescription {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly dimensionNames: readonly (string | null)[];
}

export interface LoadedModel {
  readonly inputs: readonly TensorDescription[];
  readonly outputs: readonly TensorDescription[];
}
