// Original file: hotloop/v1/prediction.proto

import type { PredictRequest as _hotloop_v1_PredictRequest, PredictRequest__Output as _hotloop_v1_PredictRequest__Output } from '../../hotloop/v1/PredictRequest.ts';

export interface PredictBatchRequest {
  'requests'?: (_hotloop_v1_PredictRequest)[];
}

export interface PredictBatchRequest__Output {
  'requests': (_hotloop_v1_PredictRequest__Output)[];
}
