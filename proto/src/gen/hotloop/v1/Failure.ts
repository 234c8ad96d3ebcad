// Original file: hotloop/v1/types.proto


/**
 * Why one item of a stream or batch failed. code is a gRPC status code; message is written for the caller.
 */
export interface Failure {
  'code'?: (number);
  'message'?: (string);
  /**
   * Machine-readable cause in lower_snake_case, such as nonfinite_output. Empty when the code is enough.
   */
  'reason'?: (string);
  /**
   * For a temporary rejection: milliseconds after which a retry makes sense. 0 if unknown.
   */
  'retryAfterMs'?: (number);
}

/**
 * Why one item of a stream or batch failed. code is a gRPC status code; message is written for the caller.
 */
export interface Failure__Output {
  'code': (number);
  'message': (string);
  /**
   * Machine-readable cause in lower_snake_case, such as nonfinite_output. Empty when the code is enough.
   */
  'reason': (string);
  /**
   * For a temporary rejection: milliseconds after which a retry makes sense. 0 if unknown.
   */
  'retryAfterMs': (number);
}
