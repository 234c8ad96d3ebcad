// Original file: hotloop/v1/registry.proto

import type { Long } from '@grpc/proto-loader';

/**
 * What one compute node says of a version.
 */
export interface NodeVersion {
  'node'?: (string);
  /**
   * cold, loading, warming, ready, draining, gone or failed.
   */
  'state'?: (string);
  'memoryBytes'?: (number | string | Long);
  'detail'?: (string);
}

/**
 * What one compute node says of a version.
 */
export interface NodeVersion__Output {
  'node': (string);
  /**
   * cold, loading, warming, ready, draining, gone or failed.
   */
  'state': (string);
  'memoryBytes': (number);
  'detail': (string);
}
