// Original file: hotloop/v1/intake.proto


export interface UploadTableHeader {
  'table'?: (string);
  /**
   * text/csv, application/x-ndjson or application/vnd.apache.parquet.
   */
  'contentType'?: (string);
  /**
   * Maximum number of rejected rows.
   */
  'maxRefused'?: (number);
}

export interface UploadTableHeader__Output {
  'table': (string);
  /**
   * text/csv, application/x-ndjson or application/vnd.apache.parquet.
   */
  'contentType': (string);
  /**
   * Maximum number of rejected rows.
   */
  'maxRefused': (number);
}
