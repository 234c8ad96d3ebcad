const HALF_HOUR_S = 1_800;
/** Of the range, above the highest value. */
const AIR = 0.08;

/** What the value axis shows: some air above the values; a flat line stands in the middle. Null: there are no values. Pure. */
export function valueRange(low: number | null, high: number | null, from?: number): [number, number] {
  if (low === null || high === null) return [from ?? 0, (from ?? 0) + 1];
  const least = from === undefined ? low : Math.min(from, low);
  if (high > least) return [least, high + (high - least) * AIR];
  // A tenth to each side; zero has no tenth.
  const around = Math.abs(high) * 0.1 || 1;
  return from === undefined ? [least - around, high + around] : [least, high + around];
}

/** What the axis shows of a single moment (seconds since 1970) or, when `plain`, of a single step. Pure. */
export function timeRange(at: number, plain: boolean): [number, number] {
  const around = plain ? 1 : HALF_HOUR_S;
  return [at - around, at + around];
}
