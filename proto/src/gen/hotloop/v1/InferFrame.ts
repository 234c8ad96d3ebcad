// Original file: hotloop/v1/inference.proto

import type { InferItem as _hotloop_v1_InferItem, InferItem__Output as _hotloop_v1_InferItem__Output } from '../../hotloop/v1/InferItem.ts';

export interface InferFrame {
  'items'?: (_hotloop_v1_InferItem)[];
  /**
   * Sequences of earlier items whose caller cancelled; they need no answer.
   */
  'cancelled'?: (number)[];
}

export interface InferFrame__Output {
  'items': (_hotloop_v1_InferItem__Output)[];
  /**
   * Sequences of earlier items whose caller cancelled; they need no answer.
   */
  'cancelled': (number)[];
}
