// Original file: inference/model_config.proto


export interface ModelParameter {
  'stringValue'?: (string);
}

export interface ModelParameter__Output {
  'stringValue': (string);
}
