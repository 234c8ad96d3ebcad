import { setTimeout as delay } from 'node:timers/promises';
import type { RetryOptions } from './client-options.ts';
import { HotloopClientError, toClientError } from './hotloop-client-error.ts';
import type { RetryBudget } from './retry-budget.ts';

/** The longest that a timer can wait. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** What a call may use up. */
export interface Patience {
  readonly timeoutMs: number;
  readonly retry: Required<RetryOptions>;
  readonly budget: RetryBudget;
  readonly signal?: AbortSignal | undefined;
  /** host:port that is called; named when nothing answers. */
  readonly address?: string;
}

/**
 * Makes attempts until one is answered, fails for good, or attempts, budget or deadline leave no room for another. Waits are drawn
 * from 0 to a doubling limit ("full jitter"), so that callers who failed together do not come back together; where the service said how
 * long to wait, that is added.
 * Throws the last failure as a HotloopClientError.
 */
export async function withRetries<T>(
  attempt: (remainingMs: number) => Promise<T>,
  patience: Patience,
): Promise<T> {
  const { retry, budget, signal } = patience;
  if (!(patience.timeoutMs >= 1))
    throw new HotloopClientError(
      'INVALID_ARGUMENT',
      `timeoutMs must be at least 1, not ${patience.timeoutMs}`,
    );
  const endsAt = performance.now() + Math.min(patience.timeoutMs, LONGEST_TIMEOUT_MS);
  for (let made = 1; ; made += 1) {
    try {
      if (signal?.aborted) throw new HotloopClientError('CANCELLED', 'the call was cancelled');
      const answer = await attempt(Math.max(1, endsAt - performance.now()));
      budget.earn();
      return answer;
    } catch (error) {
      const failure = toClientError(error);
      const jitterMs = Math.random() * Math.min(retry.maxDelayMs, retry.baseDelayMs * 2 ** (made - 1));
      const waitMs = (failure.retryAfterMs ?? 0) + jitterMs;
      const inTime = performance.now() + waitMs < endsAt;
      if (!inTime || !mayRetry(failure, retry)) throw atAddress(failure, patience.address);
      if (!neverRan(failure) && (made >= retry.attempts || !budget.spend()))
        throw atAddress(failure, patience.address);
      await delay(waitMs, undefined, signal ? { signal } : {}).catch(() => undefined);
    }
  }
}

/** UNAVAILABLE with the address that was tried: the first thing to check is whether it is the right one. */
function atAddress(failure: HotloopClientError, address?: string): HotloopClientError {
  if (failure.code !== 'UNAVAILABLE' || address === undefined) return failure;
  const noConnection =
    failure.reason === 'not_connected' || /^No connection established/.test(failure.message);
  const message = noConnection ? `nothing answers at ${address}` : `${failure.message} (${address})`;
  return new HotloopClientError('UNAVAILABLE', message, { reason: failure.reason, cause: failure });
}

/** No service behind the front door was reached: asking again costs next to nothing, so only the deadline ends it. */
function neverRan(failure: HotloopClientError): boolean {
  return failure.code === 'UNAVAILABLE' && failure.reason === 'not_connected';
}

function mayRetry(failure: HotloopClientError, retry: Required<RetryOptions>): boolean {
  if (failure.code === 'UNAVAILABLE') return true;
  // A full queue on this side is no state of the server: waiting for it is the caller's choice.
  return (
    retry.whenExhausted && failure.code === 'RESOURCE_EXHAUSTED' && failure.reason !== 'client_queue_full'
  );
}
