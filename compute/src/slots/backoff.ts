import type { Clock } from '@hotloop/platform/clock.ts';
import type { SlotOptions } from './slot-options.ts';

/**
 * Exponential backoff: the wait doubles with each failure. A short success between two failures does not reset it;
 * failures are forgotten after `steadyMs` of success.
 */
export class Backoff {
  readonly #options: Pick<SlotOptions, 'retryMs' | 'maxRetryMs' | 'steadyMs'>;
  readonly #clock: Clock;
  #failures = 0;
  /** Monotonic time of the first success since the last failure; undefined before. */
  #wellSince: number | undefined;

  constructor(options: Pick<SlotOptions, 'retryMs' | 'maxRetryMs' | 'steadyMs'>, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  get failures(): number {
    return this.#failures;
  }

  succeeded(): void {
    this.#wellSince ??= this.#clock.monotonic();
  }

  /** Counts a failure that may be a single incident: the first one costs no wait. Returns the wait in milliseconds. */
  stumbled(): number {
    const waitMs = this.failed();
    return this.#failures === 1 ? 0 : waitMs;
  }

  /** Counts a failure. Returns the wait in milliseconds. */
  failed(): number {
    const { retryMs, maxRetryMs, steadyMs } = this.#options;
    const now = this.#clock.monotonic();
    if (now - (this.#wellSince ?? now) >= steadyMs) this.#failures = 0;
    this.#wellSince = undefined;
    this.#failures++;
    return Math.min(maxRetryMs, retryMs * 2 ** Math.min(this.#failures - 1, 16));
  }
}
