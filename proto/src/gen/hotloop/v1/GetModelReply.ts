// Original file: hotloop/v1/registry.proto

import type { Model as _hotloop_v1_Model, Model__Output as _hotloop_v1_Model__Output } from '../../hotloop/v1/Model.ts';
import type { ModelVersion as _hotloop_v1_ModelVersion, ModelVersion__Output as _hotloop_v1_ModelVersion__Output } from '../../hotloop/v1/ModelVersion.ts';

export interface GetModelReply {
  'model'?: (_hotloop_v1_Model | null);
  'versions'?: (_hotloop_v1_ModelVersion)[];
}

export interface GetModelReply__Output {
  'model': (_hotloop_v1_Model__Output | null);
  'versions': (_hotloop_v1_ModelVersion__Output)[];
}
