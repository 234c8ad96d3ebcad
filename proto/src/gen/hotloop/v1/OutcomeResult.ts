// Original file: hotloop/v1/feedback.proto

import type { Failure as _hotloop_v1_Failure, Failure__Output as _hotloop_v1_Failure__Output } from '../../hotloop/v1/Failure.ts';

export interface OutcomeResult {
  'id'?: (string);
  /**
   * accepted, duplicate or refused.
   */
  'status'?: (string);
  'failure'?: (_hotloop_v1_Failure | null);
}

export interface OutcomeResult__Output {
  'id': (string);
  /**
   * accepted, duplicate or refused.
   */
  'status': (string);
  'failure': (_hotloop_v1_Failure__Output | null);
}
