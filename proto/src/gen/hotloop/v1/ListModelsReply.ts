// Original file: hotloop/v1/registry.proto

import type { Model as _hotloop_v1_Model, Model__Output as _hotloop_v1_Model__Output } from '../../hotloop/v1/Model.ts';

export interface ListModelsReply {
  'models'?: (_hotloop_v1_Model)[];
}

export interface ListModelsReply__Output {
  'models': (_hotloop_v1_Model__Output)[];
}
