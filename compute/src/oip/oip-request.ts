import type { Datatype } from '@hotloop/model/tensor.ts';
import type { TensorDescription } from '../runner/load-options.ts';

/** A tensor as a client named it; nothing of it has been compared with a model yet. */
export interface OipTensor {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** Raw: little endian, row major; BYTES as 32-bit length and bytes for each element. */
  readonly contents: Uint8Array;
  /** See WorkInput. */
  readonly index?: number;
}

/** One inference as both protocols, gRPC and REST, ask for it. */
export interface OipRequest {
  readonly model: string;
  /** A number, a label, or empty for the live version. */
  readonly version: string;
  readonly id: string;
  readonly inputs: readonly OipTensor[];
  /** Names; empty asks for all. */
  readonly outputs: readonly string[];
  /** The protocol's: 1 is the most urgent, 1000 the least, 0 the default. */
  readonly priority: number;
  /** Milliseconds that the caller waits. */
  readonly timeoutMs: number;
  /** Called with the outputs asked for before anything runs; throws for those that the protocol cannot carry as asked. */
  readonly checkOutputs?: (outputs: readonly TensorDescription[]) => void;
}

export interface OipAnswer {
  readonly model: string;
  readonly version: number;
  readonly id: string;
  /** The id under which the prediction log keeps it. */
  readonly predictionId: string;
  readonly outputs: readonly OipTensor[];
}
