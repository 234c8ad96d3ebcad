/** Growth of a value per hour, by least squares. Times in milliseconds; 0 for fewer than two points. */
export function slopePerHour(points: readonly { readonly at: number; readonly value: number }[]): number {
  const n = points.length;
  if (n < 2) return 0;
  const meanAt = points.reduce((sum, { at }) => sum + at, 0) / n;
  const meanValue = points.reduce((sum, { value }) => sum + value, 0) / n;
  let over = 0;
  let under = 0;
  for (const { at, value } of points) {
    over += (at - meanAt) * (value - meanValue);
    under += (at - meanAt) ** 2;
  }
  return under === 0 ? 0 : (over / under) * 3_600_000;
}
