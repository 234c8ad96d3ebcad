// Original file: hotloop/v1/intake.proto

import type { Failure as _hotloop_v1_Failure, Failure__Output as _hotloop_v1_Failure__Output } from '../../hotloop/v1/Failure.ts';

export interface RefusedEvent {
  /**
   * Position in its message, from 0.
   */
  'index'?: (number);
  'failure'?: (_hotloop_v1_Failure | null);
}

export interface RefusedEvent__Output {
  /**
   * Position in its message, from 0.
   */
  'index': (number);
  'failure': (_hotloop_v1_Failure__Output | null);
}
