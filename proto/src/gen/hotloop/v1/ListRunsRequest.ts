// Original file: hotloop/v1/jobs.proto


export interface ListRunsRequest {
  'model'?: (string);
  'limit'?: (number);
}

export interface ListRunsRequest__Output {
  'model': (string);
  'limit': (number);
}
