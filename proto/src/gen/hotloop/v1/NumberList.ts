// Original file: hotloop/v1/types.proto


export interface NumberList {
  'values'?: (number | string)[];
}

export interface NumberList__Output {
  'values': (number)[];
}
