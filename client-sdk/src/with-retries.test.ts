import { describe, expect, it } from 'vitest';
import { HotloopClientError, toClientError } from './hotloop-client-error.ts';
import { RetryBudget } from './retry-budget.ts';
import { type Patience, withRetries } from './with-retries.ts';

function patience(change: Partial<Patience> = {}): Patience {
  return {
    timeoutMs: 2000,
    retry: { attempts: 3, baseDelayMs: 1, maxDelayMs: 2, whenExhausted: false },
    budget: new RetryBudget(100),
    ...change,
  };
}

/** Fails the given number of times, then returns the number of calls. */
function failing(times: number, reason: string): { attempt: () => Promise<number>; asked: () => number } {
  let asked = 0;
  return {
    asked: () => asked,
    attempt: async () => {
      asked += 1;
      if (asked <= times) throw new HotloopClientError('UNAVAILABLE', 'away', { reason });
      return asked;
    },
  };
}

it('says which address does not answer, and nothing of how gRPC tried', () => {
  const details =
    'round_robin: No connection established. Last error: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:7403. Resolution note: ';
  expect(toClientError({ code: 14, details })).toMatchObject({
    code: 'UNAVAILABLE',
    message: 'nothing answers at 127.0.0.1:7403',
  });
  expect(toClientError({ code: 14, details: 'No connection established' }).message).toBe('nothing answers');
  expect(toClientError({ code: 14, details: 'the queue is full' }).message).toBe('the queue is full');
});

describe('retries', () => {
  it('end after the attempts when the call may have run', async () => {
    const { attempt, asked } = failing(10, 'stream_lost');
    await expect(withRetries(attempt, patience())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(asked()).toBe(3);
  });

  it('continue until the deadline, without using the budget, while no service was reached', async () => {
    const budget = new RetryBudget(1);
    const { attempt } = failing(10, 'not_connected');
    expect(await withRetries(attempt, patience({ budget }))).toBe(11);
    expect(budget.spend()).toBe(true);
  });

  it('end at the deadline', async () => {
    const { attempt } = failing(Number.POSITIVE_INFINITY, 'not_connected');
    await expect(withRetries(attempt, patience({ timeoutMs: 50 }))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });

  it.each([Number.NaN, 0, -1])('reject a timeout of %s ms', async (timeoutMs) => {
    const { attempt, asked } = failing(0, '');
    await expect(withRetries(attempt, patience({ timeoutMs }))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(asked()).toBe(0);
  });

  it('wait for as long as a full service says, where they are asked to, and never past the deadline', async () => {
    const full = (retryAfterMs: number) => {
      let asked = 0;
      return async () => {
        asked += 1;
        if (asked > 1) return asked;
        throw new HotloopClientError('RESOURCE_EXHAUSTED', 'full', { reason: 'overloaded', retryAfterMs });
      };
    };
    const retry = { attempts: 3, baseDelayMs: 1, maxDelayMs: 2, whenExhausted: true };
    const from = performance.now();
    expect(await withRetries(full(30), patience({ retry }))).toBe(2);
    expect(performance.now() - from).toBeGreaterThanOrEqual(29);
    const late = withRetries(full(5000), patience({ retry }));
    await expect(late).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 5000 });
  });

  it('accept a timeout longer than a timer supports', async () => {
    const { attempt } = failing(1, 'stream_lost');
    expect(await withRetries(attempt, patience({ timeoutMs: 1e12 }))).toBe(2);
  });
});
