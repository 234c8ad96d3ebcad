// Original file: hotloop/v1/feedback.proto

import type { Outcome as _hotloop_v1_Outcome, Outcome__Output as _hotloop_v1_Outcome__Output } from '../../hotloop/v1/Outcome.ts';

export interface RecordOutcomesRequest {
  'outcomes'?: (_hotloop_v1_Outcome)[];
}

export interface RecordOutcomesRequest__Output {
  'outcomes': (_hotloop_v1_Outcome__Output)[];
}
