// Original file: hotloop/v1/registry.proto


export interface GetModelRequest {
  'model'?: (string);
}

export interface GetModelRequest__Output {
  'model': (string);
}
