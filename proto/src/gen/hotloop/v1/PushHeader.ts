// Original file: hotloop/v1/registry.proto

import type { Long } from '@grpc/proto-loader';

export interface PushHeader {
  /**
   * model.yaml as written. Empty with name set: a model of task tensor.
   */
  'manifestYaml'?: (string);
  'name'?: (string);
  /**
   * Lower-case hexadecimal, over the bytes of model.onnx; the upload is rejected when it differs.
   * Empty, with onnx_bytes 0: the weights of the live version if it was trained and they fit, otherwise the
   * untrained network that training.network declares.
   */
  'onnxSha256'?: (string);
  'onnxBytes'?: (number | string | Long);
  'note'?: (string);
  /**
   * Without a file: start with an untrained network even if the model was trained.
   */
  'untrained'?: (boolean);
}

export interface PushHeader__Output {
  /**
   * model.yaml as written. Empty with name set: a model of task tensor.
   */
  'manifestYaml': (string);
  'name': (string);
  /**
   * Lower-case hexadecimal, over the bytes of model.onnx; the upload is rejected when it differs.
   * Empty, with onnx_bytes 0: the weights of the live version if it was trained and they fit, otherwise the
   * untrained network that training.network declares.
   */
  'onnxSha256': (string);
  'onnxBytes': (number);
  'note': (string);
  /**
   * Without a file: start with an untrained network even if the model was trained.
   */
  'untrained': (boolean);
}
