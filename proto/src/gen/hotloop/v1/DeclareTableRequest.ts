// Original file: hotloop/v1/intake.proto


export interface DeclareTableRequest {
  'table'?: (string);
  /**
   * The schema as JSON: {"key": "customer", "columns": {"segment": {"type": "text"}}}.
   */
  'schemaJson'?: (string);
}

export interface DeclareTableRequest__Output {
  'table': (string);
  /**
   * The schema as JSON: {"key": "customer", "columns": {"segment": {"type": "text"}}}.
   */
  'schemaJson': (string);
}
