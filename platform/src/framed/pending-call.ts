import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Cancellation } from './cancellation.ts';
import { OFF_WHEEL, type WheelEntry } from './deadline-wheel.ts';
import type { ItemMessage, ReplyMessage } from './frame.ts';
import { fromFailure } from './status.ts';

/** What a call needs from the client that owns it. */
export interface CallOwner<Item extends ItemMessage, Reply extends ReplyMessage> {
  readonly name: string;
  readonly setTimeoutMs: ((item: Item, timeoutMs: number) => void) | undefined;
  /** Called once, when the call is over. */
  onSettled(call: PendingCall<Item, Reply>): void;
}

/** The stream or slot that holds a call; notified when the call is given up on this side. */
export interface CallCarrier<Item extends ItemMessage, Reply extends ReplyMessage> {
  /** `tellServer`: the server may still be working on it and must be told; deadlines it knows by itself. */
  forget(call: PendingCall<Item, Reply>, tellServer: boolean): void;
}

/**
 * One call from `FramedClient.call` to its answer. It is itself the entry of the deadline wheel, which saves an
 * object.
 */
export class PendingCall<Item extends ItemMessage, Reply extends ReplyMessage> implements WheelEntry {
  readonly item: Item;
  readonly promise: Promise<Reply>;
  /** Number on its stream, once sent. */
  sequence = 0;
  carrier: CallCarrier<Item, Reply> | undefined = undefined;
  settled = false;
  deadlineAt: number;
  wheelNext: WheelEntry | undefined = undefined;
  wheelPrevious: WheelEntry | undefined = undefined;
  wheelSlot = OFF_WHEEL;
  readonly #owner: CallOwner<Item, Reply>;
  readonly #signal: Cancellation | undefined;
  readonly #onAbort: (() => void) | undefined;
  #resolve!: (reply: Reply) => void;
  #reject!: (error: HotloopError) => void;

  constructor(
    owner: CallOwner<Item, Reply>,
    item: Item,
    deadlineAt: number,
    signal: Cancellation | undefined,
  ) {
    this.#owner = owner;
    this.item = item;
    this.deadlineAt = deadlineAt;
    this.promise = new Promise<Reply>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#signal = signal;
    if (signal) {
      this.#onAbort = () => this.cancel();
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
  }

  /** Writes the time left at the moment of sending into the item. */
  writeTimeout(now: number): void {
    this.#owner.setTimeoutMs?.(this.item, Math.max(1, Math.floor(this.deadlineAt - now)));
  }

  answer(reply: Reply): void {
    if (this.settled) return;
    this.#settle();
    if (reply.failure) this.#reject(fromFailure(reply.failure));
    else this.#resolve(reply);
  }

  fail(error: HotloopError): void {
    if (this.settled) return;
    this.#settle();
    this.#reject(error);
  }

  cancel(): void {
    if (this.settled) return;
    this.#settle();
    this.carrier?.forget(this, true);
    this.#reject(new HotloopError('CANCELLED', 'the call was cancelled'));
  }

  onDeadline(): void {
    if (this.settled) return;
    this.#settle();
    this.carrier?.forget(this, false);
    this.#reject(
      new HotloopError('DEADLINE_EXCEEDED', `the deadline passed while waiting for ${this.#owner.name}`),
    );
  }

  #settle(): void {
    this.settled = true;
    if (this.#onAbort) this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#owner.onSettled(this);
  }
}
