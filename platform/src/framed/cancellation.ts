/**
 * Word that nobody waits any more. Every AbortSignal is one; items of a stream have a lighter one, because a signal and its
 * listeners cost more than much of what an item asks for.
 */
export interface Cancellation {
  /** True from the moment on that nobody waits. */
  readonly aborted: boolean;
  /** Called once; never when it is aborted already. */
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}
