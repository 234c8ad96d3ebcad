/** Time as the domain sees it; injected, so that tests and simulations control it. */
export interface Clock {
  /** Milliseconds since 1970, for rows and ids. */
  now(): number;
  /** Milliseconds that never go back, for deadlines and durations. */
  monotonic(): number;
}

export const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };
