/**
 * What a function reports while it runs, as a stream that ends when it does and throws what it throws. Reports wait for the
 * reader; there are only as many as a promotion has changes of state.
 */
export async function* reportsOf<T>(
  run: (report: (value: T) => void) => Promise<unknown>,
): AsyncGenerator<T, void, undefined> {
  const waiting: T[] = [];
  let wake = Promise.withResolvers<void>();
  let ended = false;
  const running = run((value) => {
    waiting.push(value);
    wake.resolve();
  }).finally(() => {
    ended = true;
    wake.resolve();
  });
  // Awaited at the end; a reader that leaves early must not make its failure an unhandled one.
  running.catch(() => undefined);
  while (!ended || waiting.length > 0) {
    await wake.promise;
    wake = Promise.withResolvers<void>();
    if (ended) wake.resolve();
    yield* waiting.splice(0);
  }
  await running;
}
