/**
 * Prevents retries from keeping an overloaded server down: every call earns a fraction of a retry, every retry costs
 * one. `capacity` is the maximum balance, enough to retry everything on one lost stream.
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

  /** Call when a call was answered. */
  earn(): void {
    this.#tokens = Math.min(this.#capacity, this.#tokens + this.#earnedPerCall);
  }

  /** True when a retry is allowed; it is then paid for. */
  spend(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
