// Original file: hotloop/v1/jobs.proto


export interface RetrainRequest {
  'model'?: (string);
  /**
   * Repeating a request with the same key returns the same run.
   */
  'key'?: (string);
  'reason'?: (string);
  /**
   * Registers the version but does not promote it.
   */
  'hold'?: (boolean);
}

export interface RetrainRequest__Output {
  'model': (string);
  /**
   * Repeating a request with the same key returns the same run.
   */
  'key': (string);
  'reason': (string);
  /**
   * Registers the version but does not promote it.
   */
  'hold': (boolean);
}
