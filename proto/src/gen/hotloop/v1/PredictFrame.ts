// Original file: hotloop/v1/prediction.proto

import type { PredictItem as _hotloop_v1_PredictItem, PredictItem__Output as _hotloop_v1_PredictItem__Output } from '../../hotloop/v1/PredictItem.ts';

export interface PredictFrame {
  'items'?: (_hotloop_v1_PredictItem)[];
  /**
   * Sequences of earlier items whose caller cancelled; they need no answer.
   */
  'cancelled'?: (number)[];
}

export interface PredictFrame__Output {
  'items': (_hotloop_v1_PredictItem__Output)[];
  /**
   * Sequences of earlier items whose caller cancelled; they need no answer.
   */
  'cancelled': (number)[];
}
