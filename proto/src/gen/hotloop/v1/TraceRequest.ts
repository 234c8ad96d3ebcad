// Original file: hotloop/v1/jobs.proto


export interface TraceRequest {
  'predictionId'?: (string);
}

export interface TraceRequest__Output {
  'predictionId': (string);
}
