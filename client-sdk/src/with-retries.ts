import { setTimeout as delay } from 'node:timers/promises';
import type { RetryOptions } from './client-options.ts';
import { HotloopClientError, toClientError } from './hotloop-client-error.ts';
import type { RetryBudget } from './retry-budget.ts';

/** Longest delay that a timer supports. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** Limits of a call. */
export interface Patience {
  readonly timeoutMs: number;
  readonly retry: Required<RetryOptions>;
  readonly budget: RetryBudget;
  readonly signal?: AbortSignal | undefined;
  /** host:port that is called; named in the error when nothing answers. */
  readonly address?: string;
}

/**
 * Makes attempts until one is answered, fails finally, or attempts, budget or deadline allow no further one. Waits
 * are random from 0 to a doubling limit ("full jitter"), so that callers that failed together do not retry together;
 * a wait requested by the service is added. Throws the last failure as a HotloopClientError.
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

/** UNAVAILABLE with the address that was tried, because it may be the wrong one. */
function atAddress(failure: HotloopClientError, address?: string): HotloopClientError {
  if (failure.code !== 'UNAVAILABLE' || address === undefined) return failure;
  const noConnection = failure.reason === 'not_connected' || /^nothing answers\b/.test(failure.message);
  const message = noConnection ? `nothing answers at ${address}` : `${failure.message} (${address})`;
  return new HotloopClientError('UNAVAILABLE', message, { reason: failure.reason, cause: failure });
}

/** No service was reached: retrying costs almost nothing, so only the deadline ends it. */
function neverRan(failure: HotloopClientError): boolean {
  return failure.code === 'UNAVAILABLE' && failure.reason === 'not_connected';
}

function mayRetry(failure: HotloopClientError, retry: Required<RetryOptions>): boolean {
  if (failure.code === 'UNAVAILABLE') return true;
  // A full queue in the client says nothing about the server: waiting for it is the caller's choice.
  return (
    retry.whenExhausted && failure.code === 'RESOURCE_EXHAUSTED' && failure.reason !== 'client_queue_full'
  );
}
