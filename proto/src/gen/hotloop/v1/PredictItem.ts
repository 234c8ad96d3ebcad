// Original file: hotloop/v1/prediction.proto

import type { PredictRequest as _hotloop_v1_PredictRequest, PredictRequest__Output as _hotloop_v1_PredictRequest__Output } from '../../hotloop/v1/PredictRequest.ts';

export interface PredictItem {
  /**
   * Chosen by the client, unique among the items in flight on this stream.
   */
  'sequence'?: (number);
  'request'?: (_hotloop_v1_PredictRequest | null);
}

export interface PredictItem__Output {
  /**
   * Chosen by the client, unique among the items in flight on this stream.
   */
  'sequence': (number);
  'request': (_hotloop_v1_PredictRequest__Output | null);
}
