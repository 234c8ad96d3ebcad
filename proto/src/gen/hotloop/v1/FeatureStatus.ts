// Original file: hotloop/v1/types.proto


export interface FeatureStatus {
  'feature'?: (string);
  /**
   * present, missing or stale (older than max_age) or degraded (store late): the declared missing value was used. out_of_range is
   * reserved: such a value is refused today.
   */
  'status'?: (string);
  /**
   * The candidate concerned; empty when the prediction has none.
   */
  'candidate'?: (string);
}

export interface FeatureStatus__Output {
  'feature': (string);
  /**
   * present, missing or stale (older than max_age) or degraded (store late): the declared missing value was used. out_of_range is
   * reserved: such a value is refused today.
   */
  'status': (string);
  /**
   * The candidate concerned; empty when the prediction has none.
   */
  'candidate': (string);
}
