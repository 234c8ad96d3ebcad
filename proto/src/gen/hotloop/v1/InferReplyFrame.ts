// Original file: hotloop/v1/inference.proto

import type { InferReplyItem as _hotloop_v1_InferReplyItem, InferReplyItem__Output as _hotloop_v1_InferReplyItem__Output } from '../../hotloop/v1/InferReplyItem.ts';

export interface InferReplyFrame {
  'items'?: (_hotloop_v1_InferReplyItem)[];
  /**
   * The server answers the items that it has and accepts no more on this stream: open another one, then half-close this one.
   */
  'draining'?: (boolean);
}

export interface InferReplyFrame__Output {
  'items': (_hotloop_v1_InferReplyItem__Output)[];
  /**
   * The server answers the items that it has and accepts no more on this stream: open another one, then half-close this one.
   */
  'draining': (boolean);
}
