// Original file: hotloop/v1/registry.proto

import type { Long } from '@grpc/proto-loader';

export interface PushHeader {
  /**
   * model.yaml as written. Empty with name set: served as a bare tensor model.
   */
  'manifestYaml'?: (string);
  'name'?: (string);
  /**
   * Lower-case hexadecimal, over the bytes of model.onnx; the upload is refused when it differs.
   * Empty, with onnx_bytes 0: the weights of the live version where it has been trained and they fit, otherwise the
   * untrained network that training.network declares.
   */
  'onnxSha256'?: (string);
  'onnxBytes'?: (number | string | Long);
  'note'?: (string);
  /**
   * Without a file: begin with an untrained network even where the model has been trained.
   */
  'untrained'?: (boolean);
}

export interface PushHeader__Output {
  /**
   * model.yaml as written. Empty with name set: served as a bare tensor model.
   */
  'manifestYaml': (string);
  'name': (string);
  /**
   * Lower-case hexadecimal, over the bytes of model.onnx; the upload is refused when it differs.
   * Empty, with onnx_bytes 0: the weights of the live version where it has been trained and they fit, otherwise the
   * untrained network that training.network declares.
   */
  'onnxSha256': (string);
  'onnxBytes': (number);
  'note': (string);
  /**
   * Without a file: begin with an untrained network even where the model has been trained.
   */
  'untrained': (boolean);
}
