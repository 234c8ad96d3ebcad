import { describe, expect, it } from 'vitest';
import { type AskedPrediction, answeredShare, between, recoveryMs } from './steady-load.ts';

const answer = { id: '', version: 1, score: 0, degraded: [] };
/** A hundred per second for five seconds, none answered from 2,000 ms on for `gapMs`. */
const withGap = (gapMs: number): AskedPrediction[] =>
  Array.from({ length: 500 }, (_, index) => {
    const dueAt = index * 10;
    const lost = dueAt >= 2000 && dueAt < 2000 + gapMs;
    return { dueAt, doneAt: dueAt + 1, ...(lost ? { failure: 'UNAVAILABLE' } : { answer }) };
  });

describe('the time to recover', () => {
  it('is zero if nothing was lost, and the gap minus the tenth that may be missing', () => {
    expect(recoveryMs(withGap(0), 2000, 100)).toBe(0);
    expect(recoveryMs(withGap(1000), 2000, 100)).toBe(900);
  });

  it('is infinite if it never recovers', () => {
    expect(recoveryMs(withGap(3000), 2000, 100)).toBe(Number.POSITIVE_INFINITY);
  });
});

it('counts the answers of a span', () => {
  expect(answeredShare(between(withGap(1000), 2000, 4000))).toBe(0.5);
  expect(answeredShare([])).toBe(0);
});
