import { type HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { Backoff } from './backoff.ts';

/** Trying again may help with these; with a bad model it does not. */
const RETRIABLE = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'RESOURCE_EXHAUSTED',
  'INTERNAL',
]);

/** Why a version is not ready, and when it is tried again. */
export class SlotFailure {
  readonly backoff: Backoff;
  #detail = '';
  #reason = '';
  #retryInMs = 0;

  constructor(backoff: Backoff) {
    this.backoff = backoff;
  }

  /** Written for callers; empty when it is well. */
  get detail(): string {
    return this.#detail;
  }

  /** The reason as a word, such as golden_mismatch; may be empty. */
  get reason(): string {
    return this.#reason;
  }

  /** Infinite where trying again does not help. */
  get retryInMs(): number {
    return this.#retryInMs;
  }

  /** It could not be made ready. */
  refused(error: unknown): void {
    const known = toHotloopError(error);
    this.#say(known, RETRIABLE.has(known.code) ? this.backoff.failed() : Number.POSITIVE_INFINITY);
  }

  /** It was ready and has lost its last runner. */
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
