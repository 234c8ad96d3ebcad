// Original file: hotloop/v1/jobs.proto


export interface GetLoopRequest {
  'model'?: (string);
}

export interface GetLoopRequest__Output {
  'model': (string);
}
