// Original file: inference/model_config.proto

import type { DataType as _inference_DataType, DataType__Output as _inference_DataType__Output } from '../inference/DataType.ts';
import type { Long } from '@grpc/proto-loader';

export interface ModelInput {
  'name'?: (string);
  'dataType'?: (_inference_DataType);
  /**
   * Without the batch dimension when max_batch_size is above 0; -1 is free.
   */
  'dims'?: (number | string | Long)[];
  /**
   * True for an input with a default, which a request may leave out.
   */
  'optional'?: (boolean);
}

export interface ModelInput__Output {
  'name': (string);
  'dataType': (_inference_DataType__Output);
  /**
   * Without the batch dimension when max_batch_size is above 0; -1 is free.
   */
  'dims': (string)[];
  /**
   * True for an input with a default, which a request may leave out.
   */
  'optional': (boolean);
}
