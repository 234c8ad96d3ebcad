// Original file: hotloop/v1/registry.proto


export interface RollbackRequest {
  'model'?: (string);
  'actor'?: (string);
}

export interface RollbackRequest__Output {
  'model': (string);
  'actor': (string);
}
