import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Failure__Output } from '@hotloop/proto/gen/hotloop/v1/Failure.ts';
import type { PredictFrame } from '@hotloop/proto/gen/hotloop/v1/PredictFrame.ts';
import type { PredictItem } from '@hotloop/proto/gen/hotloop/v1/PredictItem.ts';
import type { PredictReply__Output } from '@hotloop/proto/gen/hotloop/v1/PredictReply.ts';
import type { PredictReplyFrame__Output } from '@hotloop/proto/gen/hotloop/v1/PredictReplyFrame.ts';
import type { PredictRequest } from '@hotloop/proto/gen/hotloop/v1/PredictRequest.ts';
import { deferred } from './deferred.ts';
import { clientErrorCode, HotloopClientError, toClientError } from './hotloop-client-error.ts';

export type PredictionCall = ClientDuplexStream<PredictFrame, PredictReplyFrame__Output>;

export interface PredictionStreamOptions {
  readonly maxInFlight: number;
  readonly maxWaiting: number;
}

/** Requests and candidates in one frame; keeps a frame far below the server's message limit. */
const FRAME_WEIGHT = 1024;
const LAST_SEQUENCE = 0xffff_ffff;

/** Failures of a stream that another stream would meet as well. */
const LASTING = new Set([
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'UNIMPLEMENTED',
  'INVALID_ARGUMENT',
  'RESOURCE_EXHAUSTED',
]);

interface Entry {
  readonly request: PredictRequest;
  readonly endsAt: number;
  readonly resolve: (reply: PredictReply__Output) => void;
  readonly reject: (error: HotloopClientError) => void;
  /** The call it was sent over; undefined until then. */
  call: PredictionCall | undefined;
  sequence: number;
  settled: boolean;
}

/**
 * Many predictions over one bidirectional stream. What is asked for within one turn of the event loop travels in one
 * frame. At most `maxInFlight` are unanswered; more wait here, up to `maxWaiting`. A stream that ends takes the
 * predictions sent over it along (UNAVAILABLE, reason stream_lost); the next prediction opens a new one. Until a service
 * was reached, no connection is a failure; afterwards it is a service that comes back, and predictions wait for it.
 */
export class PredictionStream {
  readonly #open: (waitForConnection: boolean) => PredictionCall;
  readonly #options: PredictionStreamOptions;
  readonly #pending = new Map<number, Entry>();
  readonly #waiting = new Set<Entry>();
  #outbox: Entry[] = [];
  /** Sequences sent over the present call whose caller has gone. */
  #cancelled: number[] = [];
  #call: PredictionCall | undefined;
  /** A service has answered over this or an earlier call. */
  #reached = false;
  /** The present call while it waits for a connection that was there before. */
  #reconnecting: PredictionCall | undefined;
  #blocked = false;
  #flushing = false;
  #sequence = 0;
  #closed = false;
  #whenIdle: (() => void) | undefined;

  constructor(open: (waitForConnection: boolean) => PredictionCall, options: PredictionStreamOptions) {
    this.#open = open;
    this.#options = options;
  }

  /** Unanswered predictions, those that wait for a place included. */
  get size(): number {
    return this.#pending.size + this.#waiting.size;
  }

  /** One attempt. Rejects with DEADLINE_EXCEEDED, CANCELLED, UNAVAILABLE (stream lost) or what the service said. */
  predict(request: PredictRequest, timeoutMs: number, signal?: AbortSignal): Promise<PredictReply__Output> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new HotloopClientError('CANCELLED', 'the client is closed'));
      if (this.#pending.size >= this.#options.maxInFlight && this.#waiting.size >= this.#options.maxWaiting)
        return reject(
          new HotloopClientError(
            'RESOURCE_EXHAUSTED',
            `${this.size} predictions already wait for an answer`,
            {
              reason: 'client_queue_full',
            },
          ),
        );
      const entry: Entry = {
        request,
        endsAt: performance.now() + timeoutMs,
        call: undefined,
        sequence: 0,
        settled: false,
        resolve: (reply) => {
          release();
          resolve(reply);
        },
        reject: (error) => {
          release();
          reject(error);
        },
      };
      const timer = setTimeout(() => this.#fail(entry, this.#tooLate(timeoutMs)), timeoutMs);
      const cancel = () => {
        if (entry.call !== undefined && entry.call === this.#call && !entry.settled) {
          this.#cancelled.push(entry.sequence);
          this.#scheduleFlush();
        }
        this.#fail(entry, new HotloopClientError('CANCELLED', 'the call was cancelled'));
      };
      const release = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', cancel);
      };
      signal?.addEventListener('abort', cancel, { once: true });
      if (signal?.aborted) return cancel();
      if (this.#pending.size < this.#options.maxInFlight) this.#admit(entry);
      else this.#waiting.add(entry);
    });
  }

  /** Takes nothing new, waits for what is in flight (at most `timeoutMs`), then ends the stream. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true;
    if (this.size > 0) {
      const idle = deferred<void>();
      this.#whenIdle = idle.resolve;
      const timer = setTimeout(idle.resolve, timeoutMs);
      await idle.promise;
      clearTimeout(timer);
    }
    const error = new HotloopClientError('CANCELLED', 'the client was closed before the answer came');
    for (const entry of [...this.#pending.values(), ...this.#waiting]) this.#fail(entry, error);
    const call = this.#call;
    this.#call = undefined;
    this.#outbox = [];
    this.#cancelled = [];
    call?.end();
  }

  #admit(entry: Entry): void {
    do this.#sequence = this.#sequence === LAST_SEQUENCE ? 1 : this.#sequence + 1;
    while (this.#pending.has(this.#sequence));
    entry.sequence = this.#sequence;
    this.#pending.set(entry.sequence, entry);
    this.#outbox.push(entry);
    this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    if (this.#flushing || this.#blocked) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    const entries = this.#outbox.filter((entry) => !entry.settled);
    this.#outbox = [];
    if (entries.length === 0) {
      if (this.#call && this.#cancelled.length > 0) this.#write(this.#call, []);
      return;
    }
    let call: PredictionCall;
    try {
      call = this.#connected();
    } catch (error) {
      // The channel refuses new calls for good: it was closed under us.
      for (const entry of entries) this.#fail(entry, lost(error));
      return;
    }
    let items: PredictItem[] = [];
    let weight = 0;
    for (const [index, entry] of entries.entries()) {
      if (this.#blocked) {
        this.#outbox.push(...entries.slice(index));
        return;
      }
      entry.call = call;
      items.push({
        sequence: entry.sequence,
        request: { ...entry.request, timeoutMs: Math.max(1, Math.round(entry.endsAt - performance.now())) },
      });
      weight += 1 + (entry.request.candidates?.length ?? 0);
      if (weight < FRAME_WEIGHT && index < entries.length - 1) continue;
      this.#write(call, items);
      items = [];
      weight = 0;
    }
  }

  #write(call: PredictionCall, items: PredictItem[]): void {
    const cancelled = this.#cancelled;
    this.#cancelled = [];
    if (call.write({ items, cancelled })) return;
    this.#blocked = true;
    call.once('drain', () => this.#unblock(call));
  }

  #unblock(call: PredictionCall): void {
    if (this.#call !== call) return;
    this.#blocked = false;
    if (this.#outbox.length > 0) this.#scheduleFlush();
  }

  #connected(): PredictionCall {
    if (this.#call) return this.#call;
    const call = this.#open(this.#reached);
    this.#call = call;
    if (this.#reached) this.#reconnecting = call;
    call.on('metadata', () => this.#reach(call));
    call.on('data', (frame: PredictReplyFrame__Output) => {
      this.#reach(call);
      if (frame.draining) this.#retire(call);
      for (const item of frame.items) {
        const entry = this.#pending.get(item.sequence);
        // Answered twice, or too late for its deadline: nobody waits any more.
        if (entry?.call !== call) continue;
        if (item.reply) this.#settle(entry, () => entry.resolve(item.reply!));
        else this.#fail(entry, failureOf(item.failure));
      }
    });
    call.on('error', (error: unknown) => this.#lose(call, error));
    call.on('end', () => this.#lose(call, undefined));
    return call;
  }

  #reach(call: PredictionCall): void {
    this.#reached = true;
    if (this.#reconnecting === call) this.#reconnecting = undefined;
  }

  #tooLate(timeoutMs: number): HotloopClientError {
    const within = `within ${Math.round(timeoutMs)} ms`;
    return this.#reconnecting
      ? new HotloopClientError('UNAVAILABLE', `the front door could not be reached again ${within}`)
      : new HotloopClientError('DEADLINE_EXCEEDED', `no answer ${within}`);
  }

  /** Sends nothing more over this call; what was sent over it may still be answered. */
  #retire(call: PredictionCall): void {
    if (this.#call !== call) return;
    this.#call = undefined;
    this.#reconnecting = undefined;
    this.#blocked = false;
    this.#cancelled = [];
    call.end();
    if (this.#outbox.length > 0) this.#scheduleFlush();
  }

  #lose(call: PredictionCall, error: unknown): void {
    this.#retire(call);
    const failure = lost(error);
    for (const entry of [...this.#pending.values()]) if (entry.call === call) this.#fail(entry, failure);
  }

  #fail(entry: Entry, error: HotloopClientError): void {
    this.#settle(entry, () => entry.reject(error));
  }

  #settle(entry: Entry, answer: () => void): void {
    if (entry.settled) return;
    entry.settled = true;
    this.#waiting.delete(entry);
    if (entry.sequence !== 0) this.#pending.delete(entry.sequence);
    answer();
    for (const next of this.#waiting) {
      if (this.#pending.size >= this.#options.maxInFlight) break;
      this.#waiting.delete(next);
      this.#admit(next);
    }
    if (this.size === 0) this.#whenIdle?.();
  }
}

function lost(error: unknown): HotloopClientError {
  if (error !== undefined) {
    const known = toClientError(error);
    if (LASTING.has(known.code)) return known;
  }
  return new HotloopClientError('UNAVAILABLE', 'the connection to the front door was lost', {
    reason: 'stream_lost',
    cause: error,
  });
}

/** What a service says of one failed item, as an error. */
export function failureOf(failure: Failure__Output | null | undefined): HotloopClientError {
  if (!failure)
    return new HotloopClientError('UNKNOWN', 'the service answered neither a result nor a failure');
  return new HotloopClientError(clientErrorCode(failure.code), failure.message, { reason: failure.reason });
}
