import type { ClientDuplexStream } from '@grpc/grpc-js';
import { type ErrorCode, HotloopError } from '@hotloop/proto/errors.ts';
import type { Frame, ItemMessage, ReplyFrame, ReplyMessage } from './frame.ts';
import { type FrameLimits, FrameWriter } from './frame-writer.ts';
import type { CallCarrier, PendingCall } from './pending-call.ts';
import { fromStatus } from './status.ts';

/** Events of a stream for its owner, each at most once and in this order; the last may come at any time. */
export interface FramedStreamEvents {
  /** The server has accepted the stream: frames may be sent. */
  onOpen(): void;
  /** The server accepts no more items on this stream, but answers those that it has. */
  onDraining(): void;
  /**
   * The stream has ended, and its unanswered calls have been failed. `opened` is false when the server never accepted
   * it.
   */
  onGone(opened: boolean, error: HotloopError): void;
}

const MAX_SEQUENCE = 2 ** 32;

/** Errors after which calls must not be retried: the server will never accept us. */
const FINAL: ReadonlySet<ErrorCode> = new Set(['UNAUTHENTICATED', 'PERMISSION_DENIED', 'UNIMPLEMENTED']);

/** Whether another stream would get the same error. */
export const isFinal = ({ code }: HotloopError): boolean => FINAL.has(code);

function lossOf(error: unknown): HotloopError {
  const known = fromStatus(error);
  if (isFinal(known)) return known;
  return new HotloopError('UNAVAILABLE', 'the connection was lost before the answer came; try again', {
    reason: 'connection_lost',
    cause: error,
  });
}

/** The calls on one bidirectional stream, from its opening to its end. */
export class FramedStream<Item extends ItemMessage, Reply extends ReplyMessage>
  implements CallCarrier<Item, Reply>
{
  readonly #duplex: ClientDuplexStream<Frame<Item>, ReplyFrame<Reply>>;
  readonly #events: FramedStreamEvents;
  readonly #writer: FrameWriter<PendingCall<Item, Reply>>;
  readonly #sent = new Map<number, PendingCall<Item, Reply>>();
  #cancelled: number[] = [];
  #sequence = 0;
  #answered = false;
  #state: 'opening' | 'open' | 'draining' | 'gone' = 'opening';

  constructor(
    duplex: ClientDuplexStream<Frame<Item>, ReplyFrame<Reply>>,
    limits: FrameLimits,
    sizeOf: (item: Item) => number,
    events: FramedStreamEvents,
  ) {
    this.#duplex = duplex;
    this.#events = events;
    this.#writer = new FrameWriter<PendingCall<Item, Reply>>(
      {
        write: (calls) => this.#write(calls),
        sizeOf: (call) => sizeOf(call.item),
        admit: (call) => !call.settled,
        isIdle: () => this.#sent.size === 0,
      },
      limits,
      true,
    );
    duplex.on('metadata', () => this.#open());
    duplex.on('data', (frame: ReplyFrame<Reply>) => this.#read(frame));
    duplex.on('drain', () => this.#writer.resume());
    duplex.on('error', (error) => this.#end(lossOf(error)));
    duplex.on('end', () => this.#end(new HotloopError('UNAVAILABLE', 'the stream was ended by the server')));
  }

  /** Number of calls sent or waiting here. */
  get load(): number {
    return this.#sent.size + this.#writer.waiting;
  }

  /** Whether any call was answered. */
  get hasAnswered(): boolean {
    return this.#answered;
  }

  /** Only while opening or open. */
  send(call: PendingCall<Item, Reply>): void {
    call.carrier = this;
    this.#writer.push(call);
  }

  /** Removes a call that was settled on this side. `tellServer`: sends a cancellation if the server has the call. */
  forget(call: PendingCall<Item, Reply>, tellServer: boolean): void {
    if (!this.#sent.delete(call.sequence)) return;
    if (tellServer && this.#state !== 'gone') {
      if (this.#cancelled.length === 0) setImmediate(() => this.#writeCancellations());
      this.#cancelled.push(call.sequence);
    }
    this.#endWhenDrained();
  }

  /** Removes and returns calls that were never sent, to send them elsewhere. */
  takeUnsent(): PendingCall<Item, Reply>[] {
    return this.#writer.stop().filter((call) => !call.settled);
  }

  /** Half-closes the stream once every call is answered. */
  finish(): void {
    if (this.#state === 'gone') return;
    this.#state = 'draining';
    this.#endWhenDrained();
  }

  /** Ends the stream now. Sent calls fail with the error; unsent calls can still be taken. */
  destroy(error: HotloopError): void {
    this.#end(error);
    this.#duplex.cancel();
  }

  #open(): void {
    if (this.#state !== 'opening') return;
    this.#state = 'open';
    this.#writer.resume();
    this.#events.onOpen();
  }

  #write(calls: readonly PendingCall<Item, Reply>[]): boolean {
    const now = performance.now();
    const items: Item[] = [];
    for (const call of calls) {
      call.sequence = this.#nextSequence();
      call.item.sequence = call.sequence;
      call.writeTimeout(now);
      this.#sent.set(call.sequence, call);
      items.push(call.item);
    }
    const cancelled = this.#cancelled;
    this.#cancelled = [];
    return this.#duplex.write({ items, cancelled });
  }

  #writeCancellations(): void {
    if (this.#cancelled.length === 0 || this.#state === 'gone') return;
    const cancelled = this.#cancelled;
    this.#cancelled = [];
    this.#duplex.write({ items: [], cancelled });
  }

  #nextSequence(): number {
    do this.#sequence = (this.#sequence + 1) % MAX_SEQUENCE;
    while (this.#sent.has(this.#sequence));
    return this.#sequence;
  }

  #read(frame: ReplyFrame<Reply>): void {
    for (const reply of frame.items) {
      const call = this.#sent.get(reply.sequence);
      // The call is unknown because its caller gave up while the answer was on its way.
      if (!call) continue;
      this.#sent.delete(reply.sequence);
      this.#answered = true;
      call.answer(reply);
    }
    if (frame.draining && this.#state === 'open') {
      this.#state = 'draining';
      this.#events.onDraining();
    }
    this.#endWhenDrained();
  }

  #endWhenDrained(): void {
    if (this.#state === 'draining' && this.#sent.size === 0 && this.#writer.waiting === 0) this.#duplex.end();
  }

  #end(error: HotloopError): void {
    if (this.#state === 'gone') return;
    const opened = this.#state !== 'opening';
    this.#state = 'gone';
    const lost = [...this.#sent.values()];
    this.#sent.clear();
    for (const call of lost) call.fail(error);
    this.#events.onGone(opened, error);
  }
}
