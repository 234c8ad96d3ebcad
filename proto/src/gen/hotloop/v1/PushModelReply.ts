// Original file: hotloop/v1/registry.proto

import type { ModelVersion as _hotloop_v1_ModelVersion, ModelVersion__Output as _hotloop_v1_ModelVersion__Output } from '../../hotloop/v1/ModelVersion.ts';

export interface PushModelReply {
  'version'?: (_hotloop_v1_ModelVersion | null);
  /**
   * False when the same bundle was already registered; version is then the existing one.
   */
  'created'?: (boolean);
  /**
   * The version whose weights were kept because no file was sent; 0 if none.
   */
  'weightsFrom'?: (number);
  /**
   * Columns that these weights do not know, such as "month = Apr"; they have weight 0 until a retraining.
   */
  'newColumns'?: (string)[];
}

export interface PushModelReply__Output {
  'version': (_hotloop_v1_ModelVersion__Output | null);
  /**
   * False when the same bundle was already registered; version is then the existing one.
   */
  'created': (boolean);
  /**
   * The version whose weights were kept because no file was sent; 0 if none.
   */
  'weightsFrom': (number);
  /**
   * Columns that these weights do not know, such as "month = Apr"; they have weight 0 until a retraining.
   */
  'newColumns': (string)[];
}
