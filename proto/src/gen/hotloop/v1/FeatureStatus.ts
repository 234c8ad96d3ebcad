// Original file: hotloop/v1/types.proto


export interface FeatureStatus {
  'feature'?: (string);
  /**
   * FRESH; MISSING, STALE (older than max_age) or DEGRADED (store late): the declared missing value was used; CLIPPED, DEFAULTED
   * or OUT_OF_RANGE: outside range or allowed, as quality.outside of the feature says.
   */
  'status'?: (string);
  /**
   * The candidate; empty when the prediction has none.
   */
  'candidate'?: (string);
}

export interface FeatureStatus__Output {
  'feature': (string);
  /**
   * FRESH; MISSING, STALE (older than max_age) or DEGRADED (store late): the declared missing value was used; CLIPPED, DEFAULTED
   * or OUT_OF_RANGE: outside range or allowed, as quality.outside of the feature says.
   */
  'status': (string);
  /**
   * The candidate; empty when the prediction has none.
   */
  'candidate': (string);
}
