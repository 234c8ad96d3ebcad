// Original file: hotloop/v1/types.proto


export interface TextList {
  'values'?: (string)[];
}

export interface TextList__Output {
  'values': (string)[];
}
