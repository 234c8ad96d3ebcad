import type { ClientDuplexStream } from '@grpc/grpc-js';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Cancellation } from './cancellation.ts';
import { DeadlineWheel } from './deadline-wheel.ts';
import type { Frame, ItemMessage, ReplyFrame, ReplyMessage } from './frame.ts';
import { ASSUMED_ITEM_BYTES, DEFAULT_FRAME_LIMITS } from './frame-writer.ts';
import { FramedSlot } from './framed-slot.ts';
import { type CallOwner, PendingCall } from './pending-call.ts';
import type { StreamLog } from './stream-log.ts';

export type { Frame, ItemMessage, ReplyFrame, ReplyMessage } from './frame.ts';

export interface FramedClientOptions<Item extends ItemMessage, Reply extends ReplyMessage> {
  /** For errors and logs, such as compute. */
  readonly name: string;
  /** Opens one stream; called again after each loss. Must not set a deadline. */
  open(): ClientDuplexStream<Frame<Item>, ReplyFrame<Reply>>;
  /** Approximate size of an item in bytes, for the limit of a frame; default 512. */
  readonly sizeOf?: (item: Item) => number;
  /** Writes the remaining time into the item when it is sent. */
  readonly setTimeoutMs?: (item: Item, timeoutMs: number) => void;
  /** Default 1. */
  readonly streams?: number;
  /** Maximum number of items sent or waiting; beyond it calls are rejected with RESOURCE_EXHAUSTED. Default 4096. */
  readonly maxInFlight?: number;
  /** Default 256. */
  readonly maxFrameItems?: number;
  /** Default 1 MiB; a single larger item is still sent, alone. */
  readonly maxFrameBytes?: number;
  /** A larger item is rejected with INVALID_ARGUMENT, because it would break its whole stream. Default 32 MiB. */
  readonly maxItemBytes?: number;
  /** Time limit for opening a stream; default 5000. */
  readonly connectTimeoutMs?: number;
  /** Wait before the second attempt, doubled up to the maximum; defaults 50 and 1000. */
  readonly backoffMs?: number;
  readonly maxBackoffMs?: number;
  readonly log?: StreamLog;
}

export interface CallSettings {
  readonly timeoutMs: number;
  readonly signal?: Cancellation;
}

/**
 * Many calls over few bidirectional streams. Calls made in one turn of the event loop are sent in one frame. Each
 * item fails individually: DEADLINE_EXCEEDED, CANCELLED, RESOURCE_EXHAUSTED (too many in flight), UNAVAILABLE (no
 * connection, or its stream died and it may have run), or with the peer's error. A stream that dies is reopened, at
 * once and then with growing waits; calls made during a connection attempt wait for it, calls made between attempts
 * fail at once. The client owns the item given to `call`.
 */
export class FramedClient<Item extends ItemMessage, Reply extends ReplyMessage> implements AsyncDisposable {
  readonly #name: string;
  readonly #maxInFlight: number;
  readonly #maxItemBytes: number;
  readonly #sizeOf: (item: Item) => number;
  readonly #slots: readonly FramedSlot<Item, Reply>[];
  readonly #wheel = new DeadlineWheel();
  readonly #owner: CallOwner<Item, Reply>;
  #inFlight = 0;
  #onIdle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: FramedClientOptions<Item, Reply>) {
    this.#name = options.name;
    this.#maxInFlight = options.maxInFlight ?? 4096;
    this.#maxItemBytes = options.maxItemBytes ?? 32 * 1024 * 1024;
    this.#sizeOf = options.sizeOf ?? (() => ASSUMED_ITEM_BYTES);
    this.#owner = {
      name: this.#name,
      setTimeoutMs: options.setTimeoutMs,
      onSettled: (call) => {
        this.#wheel.remove(call);
        this.#inFlight--;
        if (this.#inFlight === 0) this.#onIdle?.();
      },
    };
    const slot = {
      name: options.name,
      open: options.open,
      limits: {
        maxItems: options.maxFrameItems ?? DEFAULT_FRAME_LIMITS.maxItems,
        maxBytes: options.maxFrameBytes ?? DEFAULT_FRAME_LIMITS.maxBytes,
      },
      sizeOf: this.#sizeOf,
      connectTimeoutMs: options.connectTimeoutMs ?? 5000,
      backoffMs: options.backoffMs ?? 50,
      maxBackoffMs: options.maxBackoffMs ?? 1000,
      log: options.log,
    };
    this.#slots = Array.from({ length: options.streams ?? 1 }, () => new FramedSlot<Item, Reply>(slot));
  }

  /** Number of items sent or waiting. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** True while at least one stream is open. */
  get connected(): boolean {
    return this.#slots.some((slot) => slot.state === 'open');
  }

  call(item: Item, settings: CallSettings): Promise<Reply> {
    const refusal = this.#refusal(item, settings);
    if (refusal) return Promise.reject(refusal);
    const slot = this.#pickSlot();
    if (!slot)
      return Promise.reject(
        new HotloopError('UNAVAILABLE', `${this.#name} cannot be reached; try again`, {
          reason: 'not_connected',
        }),
      );
    const call = new PendingCall<Item, Reply>(
      this.#owner,
      item,
      performance.now() + settings.timeoutMs,
      settings.signal,
    );
    this.#inFlight++;
    this.#wheel.add(call);
    slot.send(call);
    return call.promise;
  }

  /** Resolves when a stream is open; rejects UNAVAILABLE after the timeout. */
  async ready(timeoutMs: number): Promise<void> {
    if (this.connected) return;
    await new Promise<void>((resolve, reject) => {
      const stop = this.#slots.map((slot) => slot.onOpen(() => done(resolve)));
      const timer = setTimeout(
        () => done(() => reject(new HotloopError('UNAVAILABLE', `${this.#name} did not answer in time`))),
        timeoutMs,
      );
      function done(settle: () => void) {
        clearTimeout(timer);
        for (const remove of stop) remove();
        settle();
      }
    });
  }

  /**
   * Rejects new calls, waits for those in flight until the deadline, fails the rest with UNAVAILABLE, and ends the
   * streams.
   */
  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#close(deadlineMs);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0);
  }

  async #close(deadlineMs: number): Promise<void> {
    if (this.#inFlight > 0 && deadlineMs > 0)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadlineMs);
        this.#onIdle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    for (const slot of this.#slots) slot.close();
    this.#wheel[Symbol.dispose]();
  }

  #refusal(item: Item, settings: CallSettings): HotloopError | undefined {
    if (this.#closing) return new HotloopError('UNAVAILABLE', `the connection to ${this.#name} is closing`);
    if (settings.signal?.aborted) return new HotloopError('CANCELLED', 'the call was cancelled');
    if (settings.timeoutMs <= 0)
      return new HotloopError('DEADLINE_EXCEEDED', `the deadline passed before the call to ${this.#name}`);
    if (this.#inFlight >= this.#maxInFlight)
      return new HotloopError(
        'RESOURCE_EXHAUSTED',
        `${this.#maxInFlight} calls to ${this.#name} are in flight; try again later`,
        { reason: 'too_many_in_flight' },
      );
    if (this.#sizeOf(item) > this.#maxItemBytes)
      return new HotloopError('INVALID_ARGUMENT', `a request of more than ${this.#maxItemBytes} bytes`, {
        reason: 'item_too_large',
      });
    return undefined;
  }

  /** The open slot with the fewest calls, else one that is connecting. */
  #pickSlot(): FramedSlot<Item, Reply> | undefined {
    let best: FramedSlot<Item, Reply> | undefined;
    for (const slot of this.#slots) {
      if (slot.state !== 'open' && slot.state !== 'connecting') continue;
      if (!best) best = slot;
      else if (slot.state === best.state ? slot.load < best.load : slot.state === 'open') best = slot;
    }
    return best;
  }
}
