import { describe, expect, it } from 'vitest';
import { HotloopClientError } from './hotloop-client-error.ts';
import { RetryBudget } from './retry-budget.ts';
import { withRetries } from './with-retries.ts';

const retry = { attempts: 5, baseDelayMs: 1, maxDelayMs: 2, whenExhausted: false };

describe('RetryBudget', () => {
  it('allows only as many retries as were earned', () => {
    const budget = new RetryBudget(2, 0.5);
    expect([budget.spend(), budget.spend(), budget.spend()]).toEqual([true, true, false]);
    budget.earn();
    expect(budget.spend()).toBe(false);
    budget.earn();
    expect([budget.spend(), budget.spend()]).toEqual([true, false]);
    for (let call = 0; call < 100; call += 1) budget.earn();
    expect([budget.spend(), budget.spend(), budget.spend()]).toEqual([true, true, false]);
  });
});

describe('withRetries', () => {
  it('stops retrying when the budget is spent, so that an outage does not multiply the load', async () => {
    const budget = new RetryBudget(10);
    let attempts = 0;
    const down = () => {
      attempts += 1;
      return Promise.reject(new HotloopClientError('UNAVAILABLE', 'down'));
    };
    for (let call = 0; call < 100; call += 1)
      await expect(withRetries(down, { timeoutMs: 1000, retry, budget })).rejects.toThrow('down');
    expect(attempts).toBe(110);
  });

  it('makes no attempt that cannot finish before the deadline', async () => {
    let attempts = 0;
    const slow = { ...retry, attempts: 1000, baseDelayMs: 40, maxDelayMs: 40 };
    const startedAt = performance.now();
    await withRetries(
      () => {
        attempts += 1;
        return Promise.reject(new HotloopClientError('UNAVAILABLE', 'down'));
      },
      { timeoutMs: 60, retry: slow, budget: new RetryBudget(1000) },
    ).catch(() => undefined);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(attempts).toBeGreaterThan(0);
  });

  it('passes the remaining time to each attempt', async () => {
    const given: number[] = [];
    await withRetries(
      (remainingMs) => {
        given.push(remainingMs);
        return given.length < 3
          ? Promise.reject(new HotloopClientError('UNAVAILABLE', 'down'))
          : Promise.resolve('up');
      },
      { timeoutMs: 5000, retry, budget: new RetryBudget(10) },
    );
    expect(given).toEqual(given.toSorted((a, b) => b - a));
    expect(given[0]).toBeLessThanOrEqual(5000);
  });
});
