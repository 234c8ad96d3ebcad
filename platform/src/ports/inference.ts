import type { Tensor } from '@hotloop/model/tensor.ts';
import type { Variant } from '@hotloop/model/variant.ts';
import type { Cancellation } from '../framed/cancellation.ts';

/** One inference request, with everything that the prediction log records about it. */
export interface InferItem {
  /** UUIDv7; the log keeps one row per id, however often it is sent. */
  readonly predictionId: string;
  readonly model: string;
  readonly version: number;
  readonly variant: Variant;
  /** The caller: the subject of the API key, or empty. */
  readonly caller: string;
  readonly entities: Readonly<Record<string, string>>;
  /** Ids of the rows when they are candidates, else empty. */
  readonly candidates: readonly string[];
  readonly rows: number;
  readonly columns: number;
  /** float32 little endian, rows x columns. */
  readonly features: Uint8Array;
  /**
   * Instead of feature rows: one tensor of `rows` rows for each input of a model that has several inputs, or one that
   * is not float32; `columns` is 0 then. Absent or empty: the feature rows are used.
   */
  readonly tensors?: readonly Tensor[] | undefined;
  /** rows x features of the manifest, FEATURE_STATUS codes; empty when every feature is present. */
  readonly statuses: Uint8Array;
  /** What was unavailable to the feature plan. */
  readonly degraded: readonly string[];
  /** Milliseconds left; expired work never runs. */
  readonly timeoutMs: number;
  /** Higher runs first. */
  readonly priority: number;
  /** Probability that this version answers, from the split of a rollout. Absent or 0: 1. */
  readonly propensity?: number;
  /** Whether spans of this prediction are recorded. */
  readonly sampled: boolean;
  /**
   * The moment for which the features were computed, ms since 1970: the time of the log row. Absent or 0: the time of
   * the answer.
   */
  readonly atMs?: number;
}

export interface InferOutput {
  readonly outputs: readonly Tensor[];
  readonly queueUs: number;
  readonly runUs: number;
}

/**
 * Preprocessor -> compute. Two adapters: gRPC stream, and a direct call in a single process. Resolves only after the
 * input/output pair is in the journal. Rejects with HotloopError: NOT_FOUND (version not loaded anywhere),
 * INVALID_ARGUMENT (columns), DEADLINE_EXCEEDED, CANCELLED, RESOURCE_EXHAUSTED (queue full), UNAVAILABLE (runner or
 * connection lost), INTERNAL (nonfinite_output).
 */
export interface InferencePort {
  infer(item: InferItem, signal?: Cancellation): Promise<InferOutput>;
}
