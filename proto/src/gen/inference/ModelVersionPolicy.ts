// Original file: inference/model_config.proto

import type { Long } from '@grpc/proto-loader';

export interface _inference_ModelVersionPolicy_Specific {
  'versions'?: (number | string | Long)[];
}

export interface _inference_ModelVersionPolicy_Specific__Output {
  'versions': (string)[];
}

export interface ModelVersionPolicy {
  'specific'?: (_inference_ModelVersionPolicy_Specific | null);
  'policyChoice'?: "specific";
}

export interface ModelVersionPolicy__Output {
  'specific'?: (_inference_ModelVersionPolicy_Specific__Output | null);
  'policyChoice'?: "specific";
}
