/**
 * Waits for a promise, but not longer than `timeoutMs`. What the promise does afterwards is ignored; it cannot become
 * an unhandled rejection.
 *
 * @param whenLate called at the timeout; returns the result, or throws.
 */
export async function within<T, Late>(
  promise: Promise<T>,
  timeoutMs: number,
  whenLate: () => Late,
): Promise<T | Late> {
  promise.catch(() => undefined);
  const isLate = Symbol('late');
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof isLate>((resolve) => {
    timer = setTimeout(() => resolve(isLate), timeoutMs);
  });
  try {
    const first = await Promise.race([promise, late]);
    return first === isLate ? whenLate() : (first as T);
  } finally {
    clearTimeout(timer);
  }
}
