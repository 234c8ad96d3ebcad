// Original file: hotloop/v1/jobs.proto


export interface RetrainReply {
  'runId'?: (string);
  'created'?: (boolean);
}

export interface RetrainReply__Output {
  'runId': (string);
  'created': (boolean);
}
