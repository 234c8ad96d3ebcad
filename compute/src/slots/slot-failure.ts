import { type HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { Backoff } from './backoff.ts';

/** Codes for which a retry may help; it does not help with a bad model. */
const RETRIABLE = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'RESOURCE_EXHAUSTED',
  'INTERNAL',
]);

/** Why a version is not ready, and when it is retried. */
export class SlotFailure {
  readonly backoff: Backoff;
  #detail = '';
  #reason = '';
  #retryInMs = 0;

  constructor(backoff: Backoff) {
    this.backoff = backoff;
  }

  /** Written for callers; empty without a failure. */
  get detail(): string {
    return this.#detail;
  }

  /** The reason as a code, such as golden_mismatch; may be empty. */
  get reason(): string {
    return this.#reason;
  }

  /** Infinity when a retry does not help. */
  get retryInMs(): number {
    return this.#retryInMs;
  }

  /** The version could not be made ready. */
  refused(error: unknown): void {
    const known = toHotloopError(error);
    this.#say(known, RETRIABLE.has(known.code) ? this.backoff.failed() : Number.POSITIVE_INFINITY);
  }

  /** The version was ready and has lost its last runner. */
  lost(failure: HotloopError, waitMs: number): void {
    this.#say(failure, waitMs);
  }

  overcome(): void {
    this.backoff.succeeded();
    this.#detail = '';
    this.#reason = '';
  }

  #say({ message, reason }: HotloopError, retryInMs: number): void {
    this.#detail = message;
    this.#reason = reason;
    this.#retryInMs = retryInMs;
  }
}
