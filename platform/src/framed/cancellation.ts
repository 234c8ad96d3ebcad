/**
 * Signals that the caller no longer waits. Every AbortSignal satisfies this interface; items of a stream have a
 * cheaper implementation, because creating a signal with listeners costs more than much of the work for an item.
 */
export interface Cancellation {
  /** True once the caller no longer waits. */
  readonly aborted: boolean;
  /** The listener is called once; never if already aborted. */
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}
