/** A moment alone stands in the middle of an hour. */
const HALF_HOUR_S = 1_800;
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

/** What the axis of time or steps shows. Seconds since 1970, or steps when `plain`. Pure. */
export function timeRange(first: number | null, last: number | null, plain: boolean): [number, number] {
  if (first === null || last === null) return [0, 1];
  if (last > first) return [first, last];
  const around = plain ? 1 : HALF_HOUR_S;
  return [first - around, last + around];
}
