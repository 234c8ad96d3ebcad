// Original file: hotloop/v1/prediction.proto

import type { Decision as _hotloop_v1_Decision, Decision__Output as _hotloop_v1_Decision__Output } from '../../hotloop/v1/Decision.ts';
import type { FeatureStatus as _hotloop_v1_FeatureStatus, FeatureStatus__Output as _hotloop_v1_FeatureStatus__Output } from '../../hotloop/v1/FeatureStatus.ts';

export interface PredictReply {
  'predictionId'?: (string);
  'model'?: (string);
  'version'?: (number);
  /**
   * live, canary, shadow or pinned (the caller named the version).
   */
  'variant'?: (string);
  'decision'?: (_hotloop_v1_Decision | null);
  'featureStatuses'?: (_hotloop_v1_FeatureStatus)[];
  /**
   * Inputs that were unavailable for the answer, such as history; empty when all were available.
   */
  'degraded'?: (string)[];
}

export interface PredictReply__Output {
  'predictionId': (string);
  'model': (string);
  'version': (number);
  /**
   * live, canary, shadow or pinned (the caller named the version).
   */
  'variant': (string);
  'decision': (_hotloop_v1_Decision__Output | null);
  'featureStatuses': (_hotloop_v1_FeatureStatus__Output)[];
  /**
   * Inputs that were unavailable for the answer, such as history; empty when all were available.
   */
  'degraded': (string)[];
}
