/**
 * Expected calibration error: rows are divided into bins of equal width by their probability, and the gap between
 * mean probability and share of positives is averaged, weighted by the bins' sizes (Naeini, Cooper and Hauskrecht,
 * 2015). 0 is perfect; NaN without rows.
 *
 * @param hits 1 where the predicted event happened.
 */
export function calibrationError(
  probabilities: ArrayLike<number>,
  hits: ArrayLike<number>,
  bins = 10,
): number {
  const predicted = new Float64Array(bins);
  const happened = new Float64Array(bins);
  for (let row = 0; row < hits.length; row++) {
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(probabilities[row]! * bins)));
    predicted[bin]! += probabilities[row]!;
    happened[bin]! += hits[row]!;
  }
  let gaps = 0;
  for (let bin = 0; bin < bins; bin++) gaps += Math.abs(predicted[bin]! - happened[bin]!);
  return gaps / hits.length;
}
