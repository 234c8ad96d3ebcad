/** Time as the domain sees it; injected, so that tests and simulations own it. */
export interface Clock {
  /** Milliseconds since 1970. For rows and ids. */
  now(): number;
  /** Milliseconds that never go back. For deadlines and durations. */
  monotonic(): number;
}

export const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };
