// Original file: hotloop/v1/prediction.proto

import type { PredictReply as _hotloop_v1_PredictReply, PredictReply__Output as _hotloop_v1_PredictReply__Output } from '../../hotloop/v1/PredictReply.ts';
import type { Failure as _hotloop_v1_Failure, Failure__Output as _hotloop_v1_Failure__Output } from '../../hotloop/v1/Failure.ts';

export interface PredictReplyItem {
  'sequence'?: (number);
  'reply'?: (_hotloop_v1_PredictReply | null);
  'failure'?: (_hotloop_v1_Failure | null);
  'result'?: "reply"|"failure";
}

export interface PredictReplyItem__Output {
  'sequence': (number);
  'reply'?: (_hotloop_v1_PredictReply__Output | null);
  'failure'?: (_hotloop_v1_Failure__Output | null);
  'result'?: "reply"|"failure";
}
