// Original file: hotloop/v1/decision.proto

import type { Decision as _hotloop_v1_Decision, Decision__Output as _hotloop_v1_Decision__Output } from '../../hotloop/v1/Decision.ts';
import type { Failure as _hotloop_v1_Failure, Failure__Output as _hotloop_v1_Failure__Output } from '../../hotloop/v1/Failure.ts';

export interface DecideReplyItem {
  'sequence'?: (number);
  'decision'?: (_hotloop_v1_Decision | null);
  'failure'?: (_hotloop_v1_Failure | null);
  'result'?: "decision"|"failure";
}

export interface DecideReplyItem__Output {
  'sequence': (number);
  'decision'?: (_hotloop_v1_Decision__Output | null);
  'failure'?: (_hotloop_v1_Failure__Output | null);
  'result'?: "decision"|"failure";
}
