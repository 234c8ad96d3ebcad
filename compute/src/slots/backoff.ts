import type { Clock } from '@hotloop/platform/clock.ts';
import type { SlotOptions } from './slot-options.ts';

/**
 * How long to wait before what failed is tried again: twice as long each time. What goes well for a moment between two
 * failures has not made up for them; they are forgotten when it has done so for `steadyMs`.
 */
export class Backoff {
  readonly #options: Pick<SlotOptions, 'retryMs' | 'maxRetryMs' | 'steadyMs'>;
  readonly #clock: Clock;
  #failures = 0;
  /** On the monotonic clock; undefined before it goes well. */
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

  /** Counts a failure that may be the only one: the first costs no wait. Returns how many milliseconds to wait. */
  stumbled(): number {
    const waitMs = this.failed();
    return this.#failures === 1 ? 0 : waitMs;
  }

  /** Counts a failure; returns how many milliseconds to wait. */
  failed(): number {
    const { retryMs, maxRetryMs, steadyMs } = this.#options;
    const now = this.#clock.monotonic();
    if (now - (this.#wellSince ?? now) >= steadyMs) this.#failures = 0;
    this.#wellSince = undefined;
    this.#failures++;
    return Math.min(maxRetryMs, retryMs * 2 ** Math.min(this.#failures - 1, 16));
  }
}
