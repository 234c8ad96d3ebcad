// Original file: hotloop/v1/decision.proto

import type { DecideReplyItem as _hotloop_v1_DecideReplyItem, DecideReplyItem__Output as _hotloop_v1_DecideReplyItem__Output } from '../../hotloop/v1/DecideReplyItem.ts';

export interface DecideReplyFrame {
  'items'?: (_hotloop_v1_DecideReplyItem)[];
  /**
   * The server answers the items that it has and accepts no more on this stream: open another one, then half-close this one.
   */
  'draining'?: (boolean);
}

export interface DecideReplyFrame__Output {
  'items': (_hotloop_v1_DecideReplyItem__Output)[];
  /**
   * The server answers the items that it has and accepts no more on this stream: open another one, then half-close this one.
   */
  'draining': (boolean);
}
