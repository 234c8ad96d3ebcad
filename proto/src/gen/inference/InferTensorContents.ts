// Original file: inference/grpc_service.proto

import type { Long } from '@grpc/proto-loader';

/**
 * The elements of a tensor, row major. FP16 and BF16 have no field: they travel as raw contents.
 */
export interface InferTensorContents {
  'boolContents'?: (boolean)[];
  /**
   * INT8, INT16, INT32.
   */
  'intContents'?: (number)[];
  'int64Contents'?: (number | string | Long)[];
  /**
   * UINT8, UINT16, UINT32.
   */
  'uintContents'?: (number)[];
  'uint64Contents'?: (number | string | Long)[];
  'fp32Contents'?: (number | string)[];
  'fp64Contents'?: (number | string)[];
  /**
   * BYTES, one entry an element.
   */
  'bytesContents'?: (Buffer | Uint8Array | string)[];
}

/**
 * The elements of a tensor, row major. FP16 and BF16 have no field: they travel as raw contents.
 */
export interface InferTensorContents__Output {
  'boolContents': (boolean)[];
  /**
   * INT8, INT16, INT32.
   */
  'intContents': (number)[];
  'int64Contents': (string)[];
  /**
   * UINT8, UINT16, UINT32.
   */
  'uintContents': (number)[];
  'uint64Contents': (string)[];
  'fp32Contents': (number)[];
  'fp64Contents': (number)[];
  /**
   * BYTES, one entry an element.
   */
  'bytesContents': (Buffer)[];
}
