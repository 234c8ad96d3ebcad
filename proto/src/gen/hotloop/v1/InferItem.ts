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
   * Ids of the rows when they are candidates.
   */
  'candidates'?: (string)[];
  'rows'?: (number);
  'columns'?: (number);
  /**
   * float32, little endian, rows x columns.
   */
  'features'?: (Buffer | Uint8Array | string);
  /**
   * One byte per feature and row (rows x features of the manifest), see FEATURE_STATUS in model; empty when all are present.
   */
  'statuses'?: (Buffer | Uint8Array | string);
  'timeoutMs'?: (number);
  'degraded'?: (string)[];
  'sampled'?: (boolean);
  /**
   * Priority: 0 is the default, higher runs first.
   */
  'priority'?: (number);
  /**
   * Instead of features: one tensor per input, when the model has several, or one that is not float32. columns is 0 then.
   */
  'tensors'?: (_hotloop_v1_Tensor)[];
  /**
   * Milliseconds since 1970 for which the features were computed: the time of the log row. 0: the time of the answer.
   */
  'atMs'?: (number | string);
  /**
   * Probability that this version answers, from the split of a rollout. 0: 1.
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
   * Ids of the rows when they are candidates.
   */
  'candidates': (string)[];
  'rows': (number);
  'columns': (number);
  /**
   * float32, little endian, rows x columns.
   */
  'features': (Buffer);
  /**
   * One byte per feature and row (rows x features of the manifest), see FEATURE_STATUS in model; empty when all are present.
   */
  'statuses': (Buffer);
  'timeoutMs': (number);
  'degraded': (string)[];
  'sampled': (boolean);
  /**
   * Priority: 0 is the default, higher runs first.
   */
  'priority': (number);
  /**
   * Instead of features: one tensor per input, when the model has several, or one that is not float32. columns is 0 then.
   */
  'tensors': (_hotloop_v1_Tensor__Output)[];
  /**
   * Milliseconds since 1970 for which the features were computed: the time of the log row. 0: the time of the answer.
   */
  'atMs': (number);
  /**
   * Probability that this version answers, from the split of a rollout. 0: 1.
   */
  'propensity': (number);
}
