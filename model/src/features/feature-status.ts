/** How the value of a feature in one row was obtained. */
export type FeatureStatusName =
  | 'FRESH'
  | 'MISSING'
  | 'STALE'
  | 'OUT_OF_RANGE'
  | 'DEGRADED'
  | 'CLIPPED'
  | 'DEFAULTED';

/**
 * One byte per feature and row, as logged in `statuses`. The codes are stored: never change one, only add.
 *
 * - FRESH: the actual value was used.
 * - MISSING: the value is absent or unknown; the declared `missing` value was used.
 * - STALE: the value is older than `max_age`; the declared `missing` value was used.
 * - OUT_OF_RANGE: the value is outside `range` or `allowed`, and was used anyway (`quality.outside: keep`).
 * - DEGRADED: its store did not answer in time; the declared `missing` value was used.
 * - CLIPPED: the value is outside `range`; the nearest end of the range was used (`quality.outside: clip`).
 * - DEFAULTED: the value is outside `range` or `allowed`; the declared `missing` value was used (`quality.outside: default`).
 */
export const FEATURE_STATUS = {
  FRESH: 0,
  MISSING: 1,
  STALE: 2,
  OUT_OF_RANGE: 3,
  DEGRADED: 4,
  CLIPPED: 5,
  DEFAULTED: 6,
} as const satisfies Record<FeatureStatusName, number>;

export const FEATURE_STATUS_NAMES: readonly FeatureStatusName[] = [
  'FRESH',
  'MISSING',
  'STALE',
  'OUT_OF_RANGE',
  'DEGRADED',
  'CLIPPED',
  'DEFAULTED',
];
