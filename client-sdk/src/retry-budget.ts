/**
 * Keeps retries from becoming the load that keeps a server down: every call earns a fraction of a retry, every retry
 * costs one. `capacity` is what may be spent at once, so that one lost stream can be made good in full.
 */
export class RetryBudget {
  readonly #capacity: number;
  readonly #earnedPerCall: number;
  #tokens: number;

  constructor(capacity: number, earnedPerCall = 0.2) {
    this.#capacity = capacity;
    this.#earnedPerCall = earnedPerCall;
    this.#tokens = capacity;
  }

  /** A call was answered. */
  earn(): void {
    this.#tokens = Math.min(this.#capacity, this.#tokens + this.#earnedPerCall);
  }

  /** True when a retry may be made; it is then paid for. */
  spend(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
