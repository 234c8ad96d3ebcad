// Original file: hotloop/v1/inference.proto

import type { InferOutput as _hotloop_v1_InferOutput, InferOutput__Output as _hotloop_v1_InferOutput__Output } from '../../hotloop/v1/InferOutput.ts';
import type { Failure as _hotloop_v1_Failure, Failure__Output as _hotloop_v1_Failure__Output } from '../../hotloop/v1/Failure.ts';

export interface InferReplyItem {
  'sequence'?: (number);
  'output'?: (_hotloop_v1_InferOutput | null);
  'failure'?: (_hotloop_v1_Failure | null);
  'result'?: "output"|"failure";
}

export interface InferReplyItem__Output {
  'sequence': (number);
  'output'?: (_hotloop_v1_InferOutput__Output | null);
  'failure'?: (_hotloop_v1_Failure__Output | null);
  'result'?: "output"|"failure";
}
