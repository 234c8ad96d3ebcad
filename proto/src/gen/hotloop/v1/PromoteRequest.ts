// Original file: hotloop/v1/registry.proto

import type { Long } from '@grpc/proto-loader';

export interface PromoteRequest {
  'model'?: (string);
  'version'?: (number);
  /**
   * The generation that the caller saw; 0 skips the check. If the generation has changed, the answer is ABORTED.
   */
  'expectedGeneration'?: (number | string | Long);
  'actor'?: (string);
}

export interface PromoteRequest__Output {
  'model': (string);
  'version': (number);
  /**
   * The generation that the caller saw; 0 skips the check. If the generation has changed, the answer is ABORTED.
   */
  'expectedGeneration': (number);
  'actor': (string);
}
