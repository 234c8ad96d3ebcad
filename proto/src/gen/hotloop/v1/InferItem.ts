// Original file: hotloop/v1/inference.proto

import type { Tensor as _hotloop_v1_Tensor, Tensor__Output as _hotloop_v1_Tensor__Output } from '../../hotloop/v1/Tensor.ts';

export interface InferItem {
  'sequence'?: (number);
  'predictionId'?: (string);
  'model'?: (string);
  'version'?: (number);
  'variant'?: (string);
  'caller'?: (string);
  'entities'?: ({[key: string]: string});
  /**
   * Identifiers of the rows when they are candidates.
   */
  'candidates'?: (string)[];
  'rows'?: (number);
  'columns'?: (number);
  /**
   * float32, little endian, rows x columns.
   */
  'features'?: (Buffer | Uint8Array | string);
  /**
   * One byte a feature and row (rows x features of the manifest), see FEATURE_STATUS in platform; none when all are present.
   */
  'statuses'?: (Buffer | Uint8Array | string);
  'timeoutMs'?: (number);
  'degraded'?: (string)[];
  'sampled'?: (boolean);
  /**
   * Priority lane: 0 is the default, higher runs first.
   */
  'priority'?: (number);
  /**
   * Instead of features: one tensor for each input, when the model has several, or one that is not float32. columns is 0 then.
   */
  'tensors'?: (_hotloop_v1_Tensor)[];
  /**
   * Milliseconds since 1970 that the features were computed for: the time of the log row. 0: when it is answered.
   */
  'atMs'?: (number | string);
  /**
   * How likely it was that this version answers, from the split of a rollout. 0: 1.
   */
  'propensity'?: (number | string);
}

export interface InferItem__Output {
  'sequence': (number);
  'predictionId': (string);
  'model': (string);
  'version': (number);
  'variant': (string);
  'caller': (string);
  'entities': ({[key: string]: string});
  /**
   * Identifiers of the rows when they are candidates.
   */
  'candidates': (string)[];
  'rows': (number);
  'columns': (number);
  /**
   * float32, little endian, rows x columns.
   */
  'features': (Buffer);
  /**
   * One byte a feature and row (rows x features of the manifest), see FEATURE_STATUS in platform; none when all are present.
   */
  'statuses': (Buffer);
  'timeoutMs': (number);
  'degraded': (string)[];
  'sampled': (boolean);
  /**
   * Priority lane: 0 is the default, higher runs first.
   */
  'priority': (number);
  /**
   * Instead of features: one tensor for each input, when the model has several, or one that is not float32. columns is 0 then.
   */
  'tensors': (_hotloop_v1_Tensor__Output)[];
  /**
   * Milliseconds since 1970 that the features were computed for: the time of the log row. 0: when it is answered.
   */
  'atMs': (number);
  /**
   * How likely it was that this version answers, from the split of a rollout. 0: 1.
   */
  'propensity': (number);
}
