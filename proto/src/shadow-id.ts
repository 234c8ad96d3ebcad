/** Digits of an id that contain neither the time nor the UUID version: the last twelve. */
const MASKED = 12;

/**
 * The id of a shadow version's row in the prediction log. The log has one row per id, and the row of the answer has
 * the prediction's own id. A copy's row has this id: the same time, and the last 48 bits XORed with a mask for the
 * version. Applied to a shadow's id, it returns the prediction's id. Pure.
 */
export function shadowIdOf(predictionId: string, version: number): string {
  const masked = BigInt(`0x${predictionId.slice(-MASKED)}`) ^ maskOf(version);
  return predictionId.slice(0, -MASKED) + masked.toString(16).padStart(MASKED, '0');
}

/** Odd multiples of 2^48 / golden ratio: never 0, and different for any two versions below 2^47. */
function maskOf(version: number): bigint {
  return BigInt.asUintN(48, (2n * BigInt(version) + 1n) * 0x9e3779b97f4bn);
}
