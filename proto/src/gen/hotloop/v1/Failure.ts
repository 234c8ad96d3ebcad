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
   * For a refusal that passes: milliseconds after which trying again makes sense. 0 when nothing is known.
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
   * For a refusal that passes: milliseconds after which trying again makes sense. 0 when nothing is known.
   */
  'retryAfterMs': (number);
}
