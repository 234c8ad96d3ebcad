import type { Clock } from '@hotloop/platform/clock.ts';
import { describe, expect, it } from 'vitest';
import { Backoff } from './backoff.ts';

function onClock() {
  let nowMs = 5_000;
  const clock: Clock = { now: () => nowMs, monotonic: () => nowMs };
  const backoff = new Backoff({ retryMs: 200, maxRetryMs: 1_000, steadyMs: 10_000 }, clock);
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { backoff, pass };
}

describe('the wait before a retry', () => {
  it('doubles with each failure, up to a bound', () => {
    const { backoff, pass } = onClock();
    const waits = [1, 2, 3, 4, 5].map(() => {
      pass(60_000);
      return backoff.failed();
    });
    expect(waits).toEqual([200, 400, 800, 1_000, 1_000]);
    expect(backoff.failures).toBe(5);
  });

  it('does not wait after a first failure that may be the only one', () => {
    const { backoff, pass } = onClock();
    expect([backoff.stumbled(), backoff.stumbled(), backoff.stumbled()]).toEqual([0, 400, 800]);
    backoff.succeeded();
    pass(10_000);
    expect(backoff.stumbled()).toBe(0);
  });

  it('keeps growing after a short success, and starts over after a long success', () => {
    const { backoff, pass } = onClock();
    backoff.failed();
    backoff.succeeded();
    pass(9_999);
    expect(backoff.failed()).toBe(400);
    backoff.succeeded();
    pass(5_000);
    // Success while already well does not restart the period.
    backoff.succeeded();
    pass(5_000);
    expect(backoff.failed()).toBe(200);
  });
});
