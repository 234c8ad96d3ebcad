// Original file: hotloop/v1/decision.proto

import type { DecideRequest as _hotloop_v1_DecideRequest, DecideRequest__Output as _hotloop_v1_DecideRequest__Output } from '../../hotloop/v1/DecideRequest.ts';

export interface DecideItem {
  'sequence'?: (number);
  'request'?: (_hotloop_v1_DecideRequest | null);
}

export interface DecideItem__Output {
  'sequence': (number);
  'request': (_hotloop_v1_DecideRequest__Output | null);
}
