/** A promise with the functions that settle it: Promise.withResolvers, which Node 20 does not have yet. */
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
  // A promise runs its function at once.
  return { promise, ...(settle as Pick<Deferred<T>, 'resolve' | 'reject'>) };
}
