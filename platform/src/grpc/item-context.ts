import type { Caller } from '../auth/authorization.ts';
import type { Cancellation } from '../framed/cancellation.ts';

/** What a handler knows about the item it works on. */
export interface ItemContext {
  readonly caller: Caller;
  readonly requestId: string;
  /** Fires when the item is cancelled, expires, or its stream dies. Created when first read. */
  readonly signal: AbortSignal;
  /** Cheaper than the signal: fires when the item is cancelled or its stream dies, but not when it expires. */
  readonly cancellation: Cancellation;
  /** On the monotonic clock. */
  readonly deadlineAt: number;
  /** Milliseconds left; expired at or below 0. */
  remainingMs(): number;
  /** Cheaper than the signal: true when cancelled, expired, or the stream is gone. */
  isOver(): boolean;
}
