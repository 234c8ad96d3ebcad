// Original file: hotloop/v1/jobs.proto

import type { TraceStep as _hotloop_v1_TraceStep, TraceStep__Output as _hotloop_v1_TraceStep__Output } from '../../hotloop/v1/TraceStep.ts';

export interface TraceReply {
  'predictionId'?: (string);
  'steps'?: (_hotloop_v1_TraceStep)[];
}

export interface TraceReply__Output {
  'predictionId': (string);
  'steps': (_hotloop_v1_TraceStep__Output)[];
}
