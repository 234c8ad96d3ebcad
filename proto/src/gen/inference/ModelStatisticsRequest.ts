// Original file: inference/grpc_service.proto


export interface ModelStatisticsRequest {
  /**
   * Empty asks for all models.
   */
  'name'?: (string);
  'version'?: (string);
}

export interface ModelStatisticsRequest__Output {
  /**
   * Empty asks for all models.
   */
  'name': (string);
  'version': (string);
}
