// Original file: inference/grpc_service.proto

import type { ModelRepositoryParameter as _inference_ModelRepositoryParameter, ModelRepositoryParameter__Output as _inference_ModelRepositoryParameter__Output } from '../inference/ModelRepositoryParameter.ts';

export interface RepositoryModelLoadRequest {
  /**
   * Some clients put the model's name here; it is taken for it when model_name is empty.
   */
  'repositoryName'?: (string);
  'modelName'?: (string);
  /**
   * version: a number or label as string_param or int64_param; live when absent.
   */
  'parameters'?: ({[key: string]: _inference_ModelRepositoryParameter});
}

export interface RepositoryModelLoadRequest__Output {
  /**
   * Some clients put the model's name here; it is taken for it when model_name is empty.
   */
  'repositoryName': (string);
  'modelName': (string);
  /**
   * version: a number or label as string_param or int64_param; live when absent.
   */
  'parameters': ({[key: string]: _inference_ModelRepositoryParameter__Output});
}
