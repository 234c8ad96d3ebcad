// Original file: hotloop/v1/registry.proto

import type { Long } from '@grpc/proto-loader';

/**
 * The state of a version on one compute node.
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
 * The state of a version on one compute node.
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
