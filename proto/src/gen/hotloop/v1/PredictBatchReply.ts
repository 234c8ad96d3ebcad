// Original file: hotloop/v1/prediction.proto

import type { PredictResult as _hotloop_v1_PredictResult, PredictResult__Output as _hotloop_v1_PredictResult__Output } from '../../hotloop/v1/PredictResult.ts';

export interface PredictBatchReply {
  'results'?: (_hotloop_v1_PredictResult)[];
}

export interface PredictBatchReply__Output {
  'results': (_hotloop_v1_PredictResult__Output)[];
}
