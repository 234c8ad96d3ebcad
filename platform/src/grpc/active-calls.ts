/** Counts running calls, and notices when the last one has ended. */
export class ActiveCalls {
  #count = 0;
  #onNone: (() => void) | undefined;

  get count(): number {
    return this.#count;
  }

  /** Starts counting a call; the returned function ends it, once. */
  begin(): () => void {
    this.#count++;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#count--;
      if (this.#count === 0) this.#onNone?.();
    };
  }

  /** Resolves true when no call is running, false when the timeout passes first. */
  async none(timeoutMs: number): Promise<boolean> {
    if (this.#count === 0) return true;
    if (timeoutMs <= 0) return false;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.#onNone = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }
}
