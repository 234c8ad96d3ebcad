// Original file: hotloop/v1/types.proto

import type { Value as _hotloop_v1_Value, Value__Output as _hotloop_v1_Value__Output } from '../../hotloop/v1/Value.ts';

/**
 * A candidate that is scored within one prediction, such as a product that may be shown.
 */
export interface Candidate {
  'id'?: (string);
  'attributes'?: ({[key: string]: _hotloop_v1_Value});
}

/**
 * A candidate that is scored within one prediction, such as a product that may be shown.
 */
export interface Candidate__Output {
  'id': (string);
  'attributes': ({[key: string]: _hotloop_v1_Value__Output});
}
