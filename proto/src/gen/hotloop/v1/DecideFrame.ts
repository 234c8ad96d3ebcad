// Original file: hotloop/v1/decision.proto

import type { DecideItem as _hotloop_v1_DecideItem, DecideItem__Output as _hotloop_v1_DecideItem__Output } from '../../hotloop/v1/DecideItem.ts';

export interface DecideFrame {
  'items'?: (_hotloop_v1_DecideItem)[];
  /**
   * Sequences of earlier items whose caller cancelled; they need no answer.
   */
  'cancelled'?: (number)[];
}

export interface DecideFrame__Output {
  'items': (_hotloop_v1_DecideItem__Output)[];
  /**
   * Sequences of earlier items whose caller cancelled; they need no answer.
   */
  'cancelled': (number)[];
}
