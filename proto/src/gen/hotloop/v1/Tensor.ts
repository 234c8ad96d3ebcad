// Original file: hotloop/v1/types.proto

import type { Long } from '@grpc/proto-loader';

/**
 * A dense tensor, little endian, row major. datatype as in the Open Inference Protocol (FP32, INT64, ...).
 */
export interface Tensor {
  'name'?: (string);
  'datatype'?: (string);
  'shape'?: (number | string | Long)[];
  'contents'?: (Buffer | Uint8Array | string);
}

/**
 * A dense tensor, little endian, row major. datatype as in the Open Inference Protocol (FP32, INT64, ...).
 */
export interface Tensor__Output {
  'name': (string);
  'datatype': (string);
  'shape': (number)[];
  'contents': (Buffer);
}
