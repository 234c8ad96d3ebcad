import type { Cancellation } from './cancellation.ts';
import type { Variant } from './inference.ts';
import type { Tensor } from './tensor.ts';
import type { Attributes } from './value.ts';

export interface DecisionCandidate {
  readonly id: string;
  readonly attributes: Attributes;
}

export interface DecideItem {
  readonly predictionId: string;
  readonly model: string;
  readonly version: number;
  readonly variant: Variant;
  readonly outputs: readonly Tensor[];
  readonly candidates: readonly DecisionCandidate[];
  readonly request: Attributes;
  readonly entities: Readonly<Record<string, string>>;
  /** Candidate ids that must not be shown. */
  readonly excluded: readonly string[];
  readonly timeoutMs: number;
  readonly sampled: boolean;
}

export interface RankedCandidate {
  readonly id: string;
  readonly rank: number;
  readonly score: number;
  readonly propensity: number;
}

/** See hotloop.v1.Decision for what each field means by task. */
export interface Decision {
  readonly label: string;
  readonly score: number;
  readonly scores: readonly number[];
  readonly ranked: readonly RankedCandidate[];
}

/**
 * Preprocessor -> postprocessor. Two adapters: gRPC stream, and direct call. Pure but for the decision's journal
 * entry. Rejects with HotloopError: NOT_FOUND (version unknown), INVALID_ARGUMENT (outputs do not fit the task).
 */
export interface DecisionPort {
  decide(item: DecideItem, signal?: Cancellation): Promise<Decision>;
}
