// Original file: inference/grpc_service.proto


export interface ModelReadyRequest {
  'name'?: (string);
  /**
   * A number, or a label: live (also when empty), candidate, previous.
   */
  'version'?: (string);
}

export interface ModelReadyRequest__Output {
  'name': (string);
  /**
   * A number, or a label: live (also when empty), candidate, previous.
   */
  'version': (string);
}
