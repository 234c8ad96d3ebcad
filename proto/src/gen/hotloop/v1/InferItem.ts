// Original file: hotloop/v1/inference.proto


export interface InferItem {
  'sequence'?: (number);
  'predictionId'?: (string);
  'model'?: (string);
  'version'?: (number);
  'variant'?: (string);
  'caller'?: (string);
  'entities'?: ({[key: string]: string});
  /**
   * Identifiers of the rows when they are candidates.
   */
  'candidates'?: (string)[];
  'rows'?: (number);
  'columns'?: (number);
  /**
   * float32, little endian, rows x columns.
   */
  'features'?: (Buffer | Uint8Array | string);
  /**
   * One byte a feature and row (rows x features of the manifest), see FEATURE_STATUS in platform; none when all are present.
   */
  'statuses'?: (Buffer | Uint8Array | string);
  'timeoutMs'?: (number);
  'degraded'?: (string)[];
  'sampled'?: (boolean);
  /**
   * Priority lane: 0 is the default, higher runs first.
   */
  'priority'?: (number);
}

export interface InferItem__Output {
  'sequence': (number);
  'predictionId': (string);
  'model': (string);
  'version': (number);
  'variant': (string);
  'caller': (string);
  'entities': ({[key: string]: string});
  /**
   * Identifiers of the rows when they are candidates.
   */
  'candidates': (string)[];
  'rows': (number);
  'columns': (number);
  /**
   * float32, little endian, rows x columns.
   */
  'features': (Buffer);
  /**
   * One byte a feature and row (rows x features of the manifest), see FEATURE_STATUS in platform; none when all are present.
   */
  'statuses': (Buffer);
  'timeoutMs': (number);
  'degraded': (string)[];
  'sampled': (boolean);
  /**
   * Priority lane: 0 is the default, higher runs first.
   */
  'priority': (number);
}
