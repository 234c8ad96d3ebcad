import type { CallOptions, ClientUnaryCall, Metadata, ServiceError } from '@grpc/grpc-js';
import { callMetadata, openStubs, type Stubs, unaryCall } from './channel.ts';
import type { ResolvedOptions } from './client-options.ts';
import { RetryBudget } from './retry-budget.ts';
import { withRetries } from './with-retries.ts';

/** Timeout and cancellation of one call. */
export interface CallPatience {
  /** Deadline of the whole call, including retries, in milliseconds. Default: the client's timeoutMs. */
  readonly timeoutMs?: number;
  /** Aborting it cancels the call: CANCELLED. */
  readonly signal?: AbortSignal;
}

/** Starts a unary call of a stub. */
export type StartUnary<Reply> = (
  metadata: Metadata,
  options: CallOptions,
  done: (error: ServiceError | null, reply?: Reply) => void,
) => ClientUnaryCall;

/** The state that all parts of the client share: stubs, options, the retry budget. Owned and closed by the client. */
export class CallContext {
  readonly options: ResolvedOptions;
  readonly stubs: Stubs;
  readonly budget: RetryBudget;

  constructor(options: ResolvedOptions) {
    this.options = options;
    this.stubs = openStubs(options);
    this.budget = new RetryBudget(Math.max(100, options.maxInFlight));
  }

  /**
   * An idempotent call, retried on UNAVAILABLE within the deadline.
   *
   * @param address of the service that `start` calls; default: the retrainer's.
   */
  repeatable<Reply>(
    start: StartUnary<Reply>,
    patience: CallPatience = {},
    address: string = this.options.retrainerAddress,
  ): Promise<Reply> {
    const { options, budget } = this;
    return withRetries(
      (remainingMs) =>
        unaryCall<Reply>(
          (callOptions, done) => start(callMetadata(options), callOptions, done),
          remainingMs,
          patience.signal,
        ),
      {
        timeoutMs: patience.timeoutMs ?? options.timeoutMs,
        retry: options.retry,
        budget,
        signal: patience.signal,
        address,
      },
    );
  }

  close(): void {
    for (const stub of Object.values(this.stubs)) stub.close();
  }
}
