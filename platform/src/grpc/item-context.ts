import type { Caller } from '../auth/authorization.ts';
import type { Cancellation } from '../framed/cancellation.ts';

/** What a handler knows of the item it works on. */
export interface ItemContext {
  readonly caller: Caller;
  readonly requestId: string;
  /** Fires when the item is cancelled, expires, or its stream dies. Made when first read. */
  readonly signal: AbortSignal;
  /** Cheaper than the signal: fires when the item is cancelled or its stream dies, not when it expires. */
  readonly cancellation: Cancellation;
  /** On the monotonic clock. */
  readonly deadlineAt: number;
  /** Milliseconds left; at or below 0 it is expired. */
  remainingMs(): number;
  /** Cheaper than the signal: true when cancelled, expired, or the stream is gone. */
  isOver(): boolean;
}
