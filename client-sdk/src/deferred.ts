/** A promise with the functions that settle it: Promise.withResolvers, which Node 20 does not support yet. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T | PromiseLike<T>): void;
  reject(reason: unknown): void;
}

export function deferred<T>(): Deferred<T> {
  let settle: Pick<Deferred<T>, 'resolve' | 'reject'> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // The promise calls its function synchronously, so `settle` is set.
  return { promise, ...(settle as Pick<Deferred<T>, 'resolve' | 'reject'>) };
}
