// Original file: inference/grpc_service.proto

import type { InferStatistics as _inference_InferStatistics, InferStatistics__Output as _inference_InferStatistics__Output } from '../inference/InferStatistics.ts';
import type { InferBatchStatistics as _inference_InferBatchStatistics, InferBatchStatistics__Output as _inference_InferBatchStatistics__Output } from '../inference/InferBatchStatistics.ts';
import type { MemoryUsage as _inference_MemoryUsage, MemoryUsage__Output as _inference_MemoryUsage__Output } from '../inference/MemoryUsage.ts';
import type { Long } from '@grpc/proto-loader';

export interface ModelStatistics {
  'name'?: (string);
  'version'?: (string);
  /**
   * Milliseconds since 1970.
   */
  'lastInference'?: (number | string | Long);
  /**
   * Rows.
   */
  'inferenceCount'?: (number | string | Long);
  /**
   * Runs of the model.
   */
  'executionCount'?: (number | string | Long);
  'inferenceStats'?: (_inference_InferStatistics | null);
  'batchStats'?: (_inference_InferBatchStatistics)[];
  'memoryUsage'?: (_inference_MemoryUsage)[];
}

export interface ModelStatistics__Output {
  'name': (string);
  'version': (string);
  /**
   * Milliseconds since 1970.
   */
  'lastInference': (string);
  /**
   * Rows.
   */
  'inferenceCount': (string);
  /**
   * Runs of the model.
   */
  'executionCount': (string);
  'inferenceStats': (_inference_InferStatistics__Output | null);
  'batchStats': (_inference_InferBatchStatistics__Output)[];
  'memoryUsage': (_inference_MemoryUsage__Output)[];
}
