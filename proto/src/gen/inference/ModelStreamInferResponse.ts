// Original file: inference/grpc_service.proto

import type { ModelInferResponse as _inference_ModelInferResponse, ModelInferResponse__Output as _inference_ModelInferResponse__Output } from '../inference/ModelInferResponse.ts';

export interface ModelStreamInferResponse {
  /**
   * Empty when the request was answered.
   */
  'errorMessage'?: (string);
  'inferResponse'?: (_inference_ModelInferResponse | null);
}

export interface ModelStreamInferResponse__Output {
  /**
   * Empty when the request was answered.
   */
  'errorMessage': (string);
  'inferResponse': (_inference_ModelInferResponse__Output | null);
}
