// Original file: hotloop/v1/registry.proto

import type { Long } from '@grpc/proto-loader';

export interface PromoteProgress {
  /**
   * loading, warming, ready, flipping, live, failed; approval, shadow, canary, measuring if the manifest requires them.
   */
  'state'?: (string);
  'message'?: (string);
  'fromVersion'?: (number);
  'toVersion'?: (number);
  'generation'?: (number | string | Long);
}

export interface PromoteProgress__Output {
  /**
   * loading, warming, ready, flipping, live, failed; approval, shadow, canary, measuring if the manifest requires them.
   */
  'state': (string);
  'message': (string);
  'fromVersion': (number);
  'toVersion': (number);
  'generation': (number);
}
