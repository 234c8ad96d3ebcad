// Original file: hotloop/v1/prediction.proto

import type { PredictReplyItem as _hotloop_v1_PredictReplyItem, PredictReplyItem__Output as _hotloop_v1_PredictReplyItem__Output } from '../../hotloop/v1/PredictReplyItem.ts';

export interface PredictReplyFrame {
  'items'?: (_hotloop_v1_PredictReplyItem)[];
  /**
   * The server answers the items that it has and accepts no more on this stream: open another one, then half-close this one.
   */
  'draining'?: (boolean);
}

export interface PredictReplyFrame__Output {
  'items': (_hotloop_v1_PredictReplyItem__Output)[];
  /**
   * The server answers the items that it has and accepts no more on this stream: open another one, then half-close this one.
   */
  'draining': (boolean);
}
