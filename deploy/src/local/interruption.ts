const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** One Ctrl-C may arrive twice, from the terminal and from npm; a user's second one comes later. */
const SAME_PRESS_MS = 500;

/** A request to stop. Disposing restores Node's default handling of the signals. */
export interface Interruption extends Disposable {
  /** Fires at the first Ctrl-C (or SIGTERM, or a closed terminal). */
  readonly signal: AbortSignal;
}

export interface InterruptionOptions {
  /** Called at the first one. */
  readonly first: () => void;
  /** Called at the second one: whatever is still running is left to the watchdogs. */
  readonly force: () => void;
}

/** Handles the signals that ask a program to stop. */
export function takeInterruption(options: InterruptionOptions): Interruption {
  const controller = new AbortController();
  let lastAt = Number.NEGATIVE_INFINITY;
  const receive = () => {
    const now = performance.now();
    const samePress = now - lastAt < SAME_PRESS_MS;
    lastAt = now;
    if (samePress) return;
    if (controller.signal.aborted) return options.force();
    options.first();
    controller.abort(new DOMException('stopped by Ctrl-C', 'AbortError'));
  };
  for (const name of SIGNALS) process.on(name, receive);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const name of SIGNALS) process.off(name, receive);
    },
  };
}
