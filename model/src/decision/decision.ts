import type { Tensor } from '../tensor.ts';
import type { Attributes } from '../value.ts';

export interface DecisionCandidate {
  readonly id: string;
  readonly attributes: Attributes;
}

export interface RankedCandidate {
  readonly id: string;
  readonly rank: number;
  readonly score: number;
  readonly propensity: number;
}

/** See hotloop.v1.Decision for the meaning of each field by task. */
export interface Decision {
  readonly label: string;
  readonly score: number;
  readonly scores: readonly number[];
  readonly ranked: readonly RankedCandidate[];
}

/** The data of one prediction that a decision plan reads. */
export interface DecisionInput {
  /** Seeds the exploration, so that a repeated decision is the same. */
  readonly predictionId: string;
  readonly outputs: readonly Tensor[];
  readonly candidates: readonly DecisionCandidate[];
  readonly request: Attributes;
  readonly entities: Readonly<Record<string, string>>;
  /** Candidate ids that must not be shown. */
  readonly excluded: readonly string[];
}
