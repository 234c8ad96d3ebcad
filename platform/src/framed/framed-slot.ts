import type { ClientDuplexStream } from '@grpc/grpc-js';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Frame, ItemMessage, ReplyFrame, ReplyMessage } from './frame.ts';
import type { FrameLimits } from './frame-writer.ts';
import { FramedStream, isFinal } from './framed-stream.ts';
import type { PendingCall } from './pending-call.ts';
import type { StreamLog } from './stream-log.ts';

export interface FramedSlotOptions<Item extends ItemMessage, Reply extends ReplyMessage> {
  readonly name: string;
  open(): ClientDuplexStream<Frame<Item>, ReplyFrame<Reply>>;
  readonly limits: FrameLimits;
  readonly sizeOf: (item: Item) => number;
  readonly connectTimeoutMs: number;
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  readonly log: StreamLog | undefined;
}

/**
 * connecting: an attempt is in progress, calls wait for it. open: a stream is open. waiting: the last attempt failed
 * and the next has not started. closed: final.
 */
export type SlotState = 'connecting' | 'open' | 'waiting' | 'closed';

/** A stream that lived this long was working; one that dies sooner is reopened only after a wait. */
const STABLE_MS = 1000;

const MAX_DRAINS_IN_A_ROW = 3;
/** Consecutive attempts without a wait in between. */
const QUICK_ATTEMPTS = 4;

/** Keeps one stream open: opens it, reopens it when it dies, and lets a draining one finish beside its successor. */
export class FramedSlot<Item extends ItemMessage, Reply extends ReplyMessage> {
  readonly #options: FramedSlotOptions<Item, Reply>;
  readonly #leaving = new Set<FramedStream<Item, Reply>>();
  readonly #openListeners = new Set<() => void>();
  #state: SlotState = 'connecting';
  #stream: FramedStream<Item, Reply> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #openedAt = 0;
  #failures = 0;
  #drains = 0;

  constructor(options: FramedSlotOptions<Item, Reply>) {
    this.#options = options;
    this.#connect();
  }

  get state(): SlotState {
    return this.#state;
  }

  get load(): number {
    return this.#stream?.load ?? 0;
  }

  /** Only while connecting or open. */
  send(call: PendingCall<Item, Reply>): void {
    if (!this.#stream) throw new Error('a call was given to a slot without a stream');
    this.#stream.send(call);
  }

  onOpen(listener: () => void): () => void {
    this.#openListeners.add(listener);
    return () => this.#openListeners.delete(listener);
  }

  close(): void {
    this.#state = 'closed';
    clearTimeout(this.#timer);
    const error = new HotloopError('UNAVAILABLE', `the connection to ${this.#options.name} was closed`);
    for (const stream of [...this.#leaving, this.#stream]) {
      if (!stream) continue;
      for (const call of stream.takeUnsent()) call.fail(error);
      stream.destroy(error);
    }
    this.#stream = undefined;
  }

  #connect(): void {
    this.#state = 'connecting';
    const stream: FramedStream<Item, Reply> = new FramedStream<Item, Reply>(
      this.#options.open(),
      this.#options.limits,
      this.#options.sizeOf,
      {
        onOpen: () => this.#onOpen(stream),
        onDraining: () => this.#onDraining(stream),
        onGone: (opened, error) => this.#onGone(stream, opened, error),
      },
    );
    this.#stream = stream;
    this.#timer = setTimeout(
      () => stream.destroy(new HotloopError('UNAVAILABLE', 'no connection in time')),
      this.#options.connectTimeoutMs,
    );
  }

  #onOpen(stream: FramedStream<Item, Reply>): void {
    if (stream !== this.#stream) return;
    clearTimeout(this.#timer);
    this.#state = 'open';
    this.#openedAt = performance.now();
    for (const listener of [...this.#openListeners]) listener();
  }

  #onDraining(stream: FramedStream<Item, Reply>): void {
    if (stream !== this.#stream) return;
    this.#leaving.add(stream);
    const unsent = stream.takeUnsent();
    // A draining server may be reached again on the old connection and send us away again at once.
    const wasUseful = stream.hasAnswered || performance.now() - this.#openedAt > STABLE_MS;
    this.#drains = wasUseful ? 1 : this.#drains + 1;
    if (wasUseful) this.#failures = 0;
    if (this.#drains <= MAX_DRAINS_IN_A_ROW) {
      this.#connect();
      for (const call of unsent) this.send(call);
    } else {
      this.#stream = undefined;
      this.#state = 'waiting';
      this.#timer = setTimeout(() => this.#connect(), this.#options.maxBackoffMs);
      const error = new HotloopError('UNAVAILABLE', `${this.#options.name} is shutting down; try again`);
      for (const call of unsent) call.fail(error);
    }
    stream.finish();
  }

  #onGone(stream: FramedStream<Item, Reply>, opened: boolean, error: HotloopError): void {
    this.#leaving.delete(stream);
    if (stream !== this.#stream || this.#state === 'closed') return;
    clearTimeout(this.#timer);
    const unsent = stream.takeUnsent();
    this.#stream = undefined;
    if (opened && performance.now() - this.#openedAt > STABLE_MS) this.#failures = 0;
    if (opened && this.#failures === 0 && !isFinal(error)) {
      this.#options.log?.warn({ peer: this.#options.name, error }, 'a stream was lost; opening another');
      this.#failures = 1;
      this.#connect();
      for (const call of unsent) this.send(call);
      return;
    }
    this.#failures++;
    if (!opened && this.#failures <= QUICK_ATTEMPTS && error.code === 'UNAVAILABLE') {
      // One of several servers may be draining or dead; the next attempt goes to another one.
      this.#connect();
      for (const call of unsent) this.send(call);
      return;
    }
    if (this.#failures <= QUICK_ATTEMPTS + 1)
      this.#options.log?.warn({ peer: this.#options.name, error }, 'no connection; trying again');
    this.#state = 'waiting';
    // A final error would only repeat, so the longest wait is used.
    const doublings = isFinal(error) ? Number.POSITIVE_INFINITY : this.#failures - QUICK_ATTEMPTS - 1;
    const wait = Math.min(this.#options.backoffMs * 2 ** Math.max(0, doublings), this.#options.maxBackoffMs);
    this.#timer = setTimeout(() => this.#connect(), wait);
    for (const call of unsent) call.fail(this.#notConnected(error));
  }

  #notConnected(cause: HotloopError): HotloopError {
    // A final error (such as a missing key or method) says more than "unreachable".
    if (cause.code !== 'UNAVAILABLE') return cause;
    return new HotloopError('UNAVAILABLE', `${this.#options.name} cannot be reached; try again`, {
      reason: 'not_connected',
      cause,
    });
  }
}
