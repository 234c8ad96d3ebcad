import type { Decision, DecisionCandidate } from '@hotloop/model/decision/decision.ts';
import type { FeatureStatusName } from '@hotloop/model/features/feature-status.ts';
import type { Attributes } from '@hotloop/model/value.ts';
import type { Variant } from '@hotloop/model/variant.ts';
import type { Cancellation } from '@hotloop/platform/framed/cancellation.ts';

/** A prediction request. Records are null-prototype objects, because callers choose their names. */
export interface PredictionRequest {
  readonly model: string;
  /** A number, or live (also when empty), candidate, previous. */
  readonly version: string;
  /** The caller's UUIDv7, or empty. */
  readonly predictionId: string;
  readonly entities: Readonly<Record<string, string>>;
  readonly request: Attributes;
  readonly candidates: readonly DecisionCandidate[];
  readonly wantFeatureStatuses: boolean;
  /** W3C trace context of the caller, or empty. */
  readonly traceparent: string;
}

/** What the server knows about the call. */
export interface PredictionCall {
  /** Subject of the API key, or empty. */
  readonly caller: string;
  /** Milliseconds that the caller still waits. */
  readonly timeoutMs: number;
  /** Fires when the caller has cancelled. */
  readonly signal: Cancellation;
}

export interface NamedFeatureStatus {
  readonly feature: string;
  readonly status: FeatureStatusName;
  /** Empty when the prediction has no candidates. */
  readonly candidate: string;
}

export interface Prediction {
  readonly predictionId: string;
  readonly model: string;
  readonly version: number;
  readonly variant: Variant;
  readonly decision: Decision;
  /** Empty unless requested. */
  readonly featureStatuses: readonly NamedFeatureStatus[];
  readonly degraded: readonly string[];
}
