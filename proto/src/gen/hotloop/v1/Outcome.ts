// Original file: hotloop/v1/feedback.proto

import type { Value as _hotloop_v1_Value, Value__Output as _hotloop_v1_Value__Output } from '../../hotloop/v1/Value.ts';

export interface Outcome {
  /**
   * Identifies this report; sending it again has no effect.
   */
  'id'?: (string);
  'model'?: (string);
  /**
   * Either the prediction, or the join keys declared in outcome.join.
   */
  'predictionId'?: (string);
  'keys'?: ({[key: string]: string});
  /**
   * binary: 0 or 1, or flag. multiclass: the label. regression: the number. Unset: outcome.positive computes the label from attributes.
   */
  'value'?: (_hotloop_v1_Value | null);
  'attributes'?: ({[key: string]: _hotloop_v1_Value});
  /**
   * RFC 3339; empty: the time of arrival.
   */
  'occurredAt'?: (string);
  /**
   * label (default) or retract.
   */
  'kind'?: (string);
}

export interface Outcome__Output {
  /**
   * Identifies this report; sending it again has no effect.
   */
  'id': (string);
  'model': (string);
  /**
   * Either the prediction, or the join keys declared in outcome.join.
   */
  'predictionId': (string);
  'keys': ({[key: string]: string});
  /**
   * binary: 0 or 1, or flag. multiclass: the label. regression: the number. Unset: outcome.positive computes the label from attributes.
   */
  'value': (_hotloop_v1_Value__Output | null);
  'attributes': ({[key: string]: _hotloop_v1_Value__Output});
  /**
   * RFC 3339; empty: the time of arrival.
   */
  'occurredAt': (string);
  /**
   * label (default) or retract.
   */
  'kind': (string);
}
