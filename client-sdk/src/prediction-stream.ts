import type { ClientDuplexStream } from '@grpc/grpc-js';
import { FramedClient } from '@hotloop/platform/framed/framed-client.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Failure__Output } from '@hotloop/proto/gen/hotloop/v1/Failure.ts';
import type { PredictFrame } from '@hotloop/proto/gen/hotloop/v1/PredictFrame.ts';
import type { PredictItem } from '@hotloop/proto/gen/hotloop/v1/PredictItem.ts';
import type { PredictReply__Output } from '@hotloop/proto/gen/hotloop/v1/PredictReply.ts';
import type { PredictReplyFrame__Output } from '@hotloop/proto/gen/hotloop/v1/PredictReplyFrame.ts';
import type { PredictReplyItem__Output } from '@hotloop/proto/gen/hotloop/v1/PredictReplyItem.ts';
import type { PredictRequest } from '@hotloop/proto/gen/hotloop/v1/PredictRequest.ts';
import { deferred } from './deferred.ts';
import { clientErrorCode, HotloopClientError, retryAfter, toClientError } from './hotloop-client-error.ts';

export type PredictionCall = ClientDuplexStream<PredictFrame, PredictReplyFrame__Output>;

export interface PredictionStreamOptions {
  readonly maxInFlight: number;
  readonly maxWaiting: number;
  /** Default 1. */
  readonly streams?: number;
}

/** Predictions per frame, which keeps a frame far below the server's message limit. */
const MAX_FRAME_ITEMS = 1024;
/** Assumed sizes, for the limit of a frame. */
const ITEM_BYTES = 512;
const CANDIDATE_BYTES = 512;

/**
 * Many predictions over one bidirectional stream, with the framed client that the services also use. At most
 * `maxInFlight` are unanswered; further ones wait here, up to `maxWaiting`. When a stream is lost, the predictions
 * sent over it fail (UNAVAILABLE, reason connection_lost), and it is reopened. As long as no service was ever
 * reached, a missing connection is a failure; afterwards it means a restarting service, and predictions wait for it.
 */
export class PredictionStream {
  readonly #open: (waitForConnection: boolean) => PredictionCall;
  readonly #options: PredictionStreamOptions;
  /** Predictions that wait for a place, in order. */
  readonly #waiting = new Set<() => void>();
  #client: FramedClient<PredictItem, PredictReplyItem__Output> | undefined;
  #inFlight = 0;
  /** True once a service has answered over any stream. */
  #reached = false;
  #closed = false;
  #whenIdle: (() => void) | undefined;

  constructor(open: (waitForConnection: boolean) => PredictionCall, options: PredictionStreamOptions) {
    this.#open = open;
    this.#options = options;
  }

  /** Unanswered predictions, including those that wait for a place. */
  get size(): number {
    return this.#inFlight + this.#waiting.size;
  }

  /** One attempt. Rejects with DEADLINE_EXCEEDED, CANCELLED, UNAVAILABLE (stream lost) or the service's error. */
  async predict(
    request: PredictRequest,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<PredictReply__Output> {
    if (this.#closed) throw new HotloopClientError('CANCELLED', 'the client is closed');
    const endsAt = performance.now() + timeoutMs;
    await this.#takePlace(timeoutMs, signal);
    try {
      const item: PredictItem = { request: { ...request } };
      const settings = { timeoutMs: endsAt - performance.now(), ...(signal === undefined ? {} : { signal }) };
      const { reply } = await this.#connected().call(item, settings);
      if (!reply) throw failureOf(undefined);
      return reply;
    } catch (error) {
      throw this.#failure(error, timeoutMs);
    } finally {
      this.#freePlace();
    }
  }

  /** Accepts no new predictions, waits for those in flight (at most `timeoutMs`), then ends the stream. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true;
    if (this.size > 0) {
      const idle = deferred<void>();
      this.#whenIdle = idle.resolve;
      const timer = setTimeout(idle.resolve, timeoutMs);
      await idle.promise;
      clearTimeout(timer);
    }
    await this.#client?.close(0);
  }

  #connected(): FramedClient<PredictItem, PredictReplyItem__Output> {
    this.#client ??= new FramedClient<PredictItem, PredictReplyItem__Output>({
      name: 'the preprocessor',
      open: () => {
        const call = this.#open(this.#reached);
        call.once('metadata', () => {
          this.#reached = true;
        });
        return call;
      },
      setTimeoutMs: ({ request }, remainingMs) => {
        if (request) request.timeoutMs = remainingMs;
      },
      sizeOf: ({ request }) => ITEM_BYTES + CANDIDATE_BYTES * (request?.candidates?.length ?? 0),
      streams: this.#options.streams ?? 1,
      maxInFlight: this.#options.maxInFlight,
      maxFrameItems: MAX_FRAME_ITEMS,
    });
    return this.#client;
  }

  /** Resolves when fewer than `maxInFlight` are unanswered. */
  async #takePlace(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (this.#inFlight < this.#options.maxInFlight) {
      this.#inFlight += 1;
      return;
    }
    if (this.#waiting.size >= this.#options.maxWaiting)
      throw new HotloopClientError(
        'RESOURCE_EXHAUSTED',
        `${this.size} predictions already wait for an answer`,
        {
          reason: 'client_queue_full',
        },
      );
    const place = deferred<void>();
    const take = () => {
      this.#inFlight += 1;
      place.resolve();
    };
    const timer = setTimeout(() => place.reject(tooLate(timeoutMs)), timeoutMs);
    const cancel = () => place.reject(new HotloopClientError('CANCELLED', 'the call was cancelled'));
    signal?.addEventListener('abort', cancel, { once: true });
    this.#waiting.add(take);
    try {
      await place.promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
      this.#waiting.delete(take);
    }
  }

  #freePlace(): void {
    this.#inFlight -= 1;
    const [next] = this.#waiting;
    if (next) {
      this.#waiting.delete(next);
      next();
    }
    if (this.size === 0) this.#whenIdle?.();
  }

  #failure(error: unknown, timeoutMs: number): HotloopClientError {
    if (!(error instanceof HotloopError)) return toClientError(error);
    const { code, reason, message, retryAfterMs } = error;
    if (code === 'UNAVAILABLE' && this.#closed)
      return new HotloopClientError('CANCELLED', 'the client was closed before the answer came');
    if (code === 'DEADLINE_EXCEEDED' && reason === '') {
      if (!this.#reached || this.#client?.connected) return tooLate(timeoutMs);
      const within = `within ${Math.round(timeoutMs)} ms`;
      return new HotloopClientError('UNAVAILABLE', `the preprocessor could not be reached again ${within}`);
    }
    // If no service was ever reached, the address may be wrong: each attempt counts, so that the caller soon gets the
    // error.
    if (code === 'UNAVAILABLE' && reason === 'not_connected' && !this.#reached)
      return new HotloopClientError('UNAVAILABLE', 'No connection established', { cause: error });
    return new HotloopClientError(code, message, { reason, ...retryAfter(retryAfterMs), cause: error });
  }
}

function tooLate(timeoutMs: number): HotloopClientError {
  return new HotloopClientError('DEADLINE_EXCEEDED', `no answer within ${Math.round(timeoutMs)} ms`);
}

/** Converts a failed item to an error. */
export function failureOf(failure: Failure__Output | null | undefined): HotloopClientError {
  if (!failure)
    return new HotloopClientError('UNKNOWN', 'the service returned neither a result nor a failure');
  return new HotloopClientError(clientErrorCode(failure.code), failure.message, {
    reason: failure.reason,
    ...retryAfter(failure.retryAfterMs),
  });
}
