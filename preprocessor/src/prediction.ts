import type { Decision, DecisionCandidate } from '@hotloop/model/decision/decision.ts';
import type { FeatureStatusName } from '@hotloop/model/features/feature-status.ts';
import type { Attributes } from '@hotloop/model/value.ts';
import type { Variant } from '@hotloop/model/variant.ts';
import type { Cancellation } from '@hotloop/platform/framed/cancellation.ts';

/** What a caller asks. Records are null-prototype objects: their names come from outside. */
export interface PredictionRequest {
  readonly model: string;
  /** A number, or live (also when empty), candidate, previous. */
  readonly version: string;
  /** A UUIDv7 of the caller's, or empty. */
  readonly predictionId: string;
  readonly entities: Readonly<Record<string, string>>;
  readonly request: Attributes;
  readonly candidates: readonly DecisionCandidate[];
  readonly wantFeatureStatuses: boolean;
  /** W3C trace context of the caller, or empty. */
  readonly traceparent: string;
}

/** What the door knows of the call. */
export interface PredictionCall {
  /** Subject of the API key, or empty. */
  readonly caller: string;
  /** Milliseconds that the caller still waits. */
  readonly timeoutMs: number;
  /** Fires when the caller has gone. */
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
  /** Empty unless asked for. */
  readonly featureStatuses: readonly NamedFeatureStatus[];
  readonly degraded: readonly string[];
}
