/** One byte a feature and row, as logged in `statuses`. */
export const FEATURE_STATUS = { present: 0, missing: 1, stale: 2, out_of_range: 3, degraded: 4 } as const;
export type FeatureStatusName = keyof typeof FEATURE_STATUS;
