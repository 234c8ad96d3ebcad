import type { Datatype } from '@hotloop/model/tensor.ts';
import type { TensorDescription } from '../runner/load-options.ts';

/** A tensor as the client sent it; not yet checked against a model. */
export interface OipTensor {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** Raw bytes: little endian, row major. BYTES elements each have a 32-bit length prefix. */
  readonly contents: Uint8Array;
  /** See WorkInput. */
  readonly index?: number;
}

/** One inference request, from gRPC or REST. */
export interface OipRequest {
  readonly model: string;
  /** A number, a label, or empty for the live version. */
  readonly version: string;
  readonly id: string;
  readonly inputs: readonly OipTensor[];
  /** Names of the requested outputs; empty asks for all. */
  readonly outputs: readonly string[];
  /** As in the protocol: 1 is the most urgent, 1000 the least; 0 is the default. */
  readonly priority: number;
  /** Milliseconds that the caller waits. */
  readonly timeoutMs: number;
  /**
   * Called with the requested outputs before anything runs. Throws for outputs that the protocol cannot carry in the
   * requested form.
   */
  readonly checkOutputs?: (outputs: readonly TensorDescription[]) => void;
}

export interface OipAnswer {
  readonly model: string;
  readonly version: number;
  readonly id: string;
  /** The id under which the prediction log keeps the answer. */
  readonly predictionId: string;
  readonly outputs: readonly OipTensor[];
}
