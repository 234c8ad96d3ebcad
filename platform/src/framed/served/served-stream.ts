import type { ServerDuplexStream } from '@grpc/grpc-js';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { CallContext } from '../../grpc/call-context.ts';
import type { ItemContext } from '../../grpc/item-context.ts';
import { toLoggedStatus } from '../../grpc/logged-status.ts';
import { UnreadableRequest } from '../../grpc/unreadable-request.ts';
import type { DeadlineWheel } from '../deadline-wheel.ts';
import type { Frame, ItemMessage, WrittenFrame } from '../frame.ts';
import { type FrameLimits, FrameWriter } from '../frame-writer.ts';
import { toFailure } from '../status.ts';
import { ServedItem } from './served-item.ts';

export interface ServedStreamSettings<Item extends ItemMessage, Reply extends object> {
  handle(item: Item, context: ItemContext): Promise<Reply>;
  timeoutMsOf(item: Item): number;
  readonly defaultTimeoutMs: number;
  readonly maxTimeoutMs: number;
  readonly sizeOf: (reply: Reply) => number;
  readonly maxRunning: number;
  readonly maxWaiting: number;
  readonly limits: FrameLimits;
  readonly maxStreamAgeMs: number;
  readonly wheel: DeadlineWheel;
}

interface Answer<Reply> {
  readonly reply: Reply & { sequence?: number };
  readonly bytes: number;
}

/** Approximate size of a failure, in bytes. */
const FAILURE_BYTES = 256;

/** The server side of one stream, from its first frame to its end. */
export class ServedStream<Item extends ItemMessage, Reply extends object> {
  readonly #call: ServerDuplexStream<Frame<Item>, WrittenFrame<Reply>>;
  readonly #context: CallContext;
  readonly #settings: ServedStreamSettings<Item, Reply>;
  readonly #writer: FrameWriter<Answer<Reply>>;
  /** Waiting or running items, by sequence. */
  readonly #items = new Map<number, ServedItem<Item>>();
  #waiting: ServedItem<Item>[] = [];
  #nextWaiting = 0;
  #running = 0;
  #state: 'serving' | 'draining' | 'ended' = 'serving';
  #halfClosed = false;
  #ageTimer: NodeJS.Timeout | undefined;

  constructor(
    call: ServerDuplexStream<Frame<Item>, WrittenFrame<Reply>>,
    context: CallContext,
    settings: ServedStreamSettings<Item, Reply>,
  ) {
    this.#call = call;
    this.#context = context;
    this.#settings = settings;
    this.#writer = new FrameWriter<Answer<Reply>>(
      {
        write: (answers) => this.#write(answers),
        sizeOf: (answer) => answer.bytes,
        admit: () => true,
        isIdle: () => this.#items.size === 0,
      },
      settings.limits,
    );
  }

  start(): void {
    const drain = () => this.#drain();
    this.#call.on('data', (frame: Frame<Item> | UnreadableRequest) => this.#read(frame));
    this.#call.on('drain', () => this.#onWritable());
    this.#call.on('end', () => this.#onHalfClose());
    this.#call.on('error', () => this.#abandon());
    this.#call.on('cancelled', () => this.#abandon());
    this.#context.draining.addEventListener('abort', drain, { once: true });
    this.#call.once('close', () => this.#context.draining.removeEventListener('abort', drain));
    if (this.#settings.maxStreamAgeMs > 0) {
      const age = this.#settings.maxStreamAgeMs * (0.95 + Math.random() * 0.1);
      this.#ageTimer = setTimeout(drain, age);
      this.#ageTimer.unref();
    }
    if (this.#context.draining.aborted) this.#drain();
  }

  #read(frame: Frame<Item> | UnreadableRequest): void {
    if (this.#state === 'ended') return;
    if (frame instanceof UnreadableRequest) {
      // The whole stream fails, because the items of an unreadable frame are unknown and cannot be answered
      // individually.
      this.#call.emit('error', toLoggedStatus(frame.refusal(), this.#context));
      return;
    }
    const now = performance.now();
    for (const sequence of frame.cancelled ?? []) this.#cancel(sequence);
    for (const message of frame.items ?? []) this.#accept(message, now);
  }

  #accept(message: Item, now: number): void {
    const sequence = message.sequence ?? 0;
    if (this.#items.has(sequence)) {
      this.#refuse(
        sequence,
        new HotloopError('INVALID_ARGUMENT', `sequence ${sequence} is already in flight`),
      );
      return;
    }
    const asked = this.#settings.timeoutMsOf(message);
    const timeoutMs =
      asked > 0 ? Math.min(asked, this.#settings.maxTimeoutMs) : this.#settings.defaultTimeoutMs;
    const item = new ServedItem(message, sequence, now + timeoutMs, this.#context, this.#settings.wheel);
    if (this.#running < this.#settings.maxRunning) {
      this.#items.set(sequence, item);
      this.#run(item);
    } else if (this.#waiting.length - this.#nextWaiting < this.#settings.maxWaiting) {
      this.#items.set(sequence, item);
      this.#waiting.push(item);
    } else
      this.#refuse(
        sequence,
        new HotloopError('RESOURCE_EXHAUSTED', 'too many items wait on this stream; try again later', {
          reason: 'too_many_waiting',
        }),
      );
  }

  #run(item: ServedItem<Item>): void {
    this.#running++;
    // Called in this turn, so that the handler can batch the items of one frame.
    let result: Promise<Reply>;
    try {
      result = this.#settings.handle(item.message, item);
    } catch (error) {
      this.#settle(item, this.#failure(error));
      return;
    }
    result.then(
      (reply) => this.#settle(item, { reply, bytes: this.#settings.sizeOf(reply) }),
      (error: unknown) => this.#settle(item, this.#failure(error)),
    );
  }

  #settle(item: ServedItem<Item>, answer: Answer<Reply>): void {
    this.#running--;
    item.settle();
    if (this.#items.get(item.sequence) === item) {
      this.#items.delete(item.sequence);
      this.#answer(item.sequence, answer);
    }
    this.#runNext();
    this.#endWhenDone();
  }

  #runNext(): void {
    while (this.#running < this.#settings.maxRunning && this.#nextWaiting < this.#waiting.length) {
      const item = this.#waiting[this.#nextWaiting++]!;
      if (this.#nextWaiting === this.#waiting.length) {
        this.#waiting = [];
        this.#nextWaiting = 0;
      }
      if (this.#items.get(item.sequence) !== item) continue;
      if (item.isOver()) {
        this.#items.delete(item.sequence);
        this.#refuse(
          item.sequence,
          new HotloopError('DEADLINE_EXCEEDED', 'the deadline passed in the queue'),
        );
      } else this.#run(item);
    }
  }

  #answer(sequence: number, answer: Answer<Reply>): void {
    if (this.#state === 'ended') return;
    answer.reply.sequence = sequence;
    this.#writer.push(answer);
    // A client that does not read its answers must not send either.
    if (this.#writer.waiting > this.#settings.maxWaiting) this.#call.pause();
  }

  #refuse(sequence: number, error: HotloopError): void {
    this.#answer(sequence, this.#failure(error));
  }

  #failure(error: unknown): Answer<Reply> {
    const known = toHotloopError(error);
    if (known.code === 'INTERNAL')
      this.#context.log.error({ error, reason: known.reason }, 'an item of a stream failed');
    // Every reply message of a framed contract has a `failure` next to its `result`.
    const reply = { failure: toFailure(known) } as unknown as Reply;
    return { reply, bytes: FAILURE_BYTES };
  }

  #cancel(sequence: number): void {
    const item = this.#items.get(sequence);
    if (!item) return;
    this.#items.delete(sequence);
    item.cancel();
  }

  #write(answers: readonly Answer<Reply>[]): boolean {
    return this.#call.write({ items: answers.map((answer) => answer.reply) });
  }

  #onWritable(): void {
    this.#writer.resume();
    if (this.#call.isPaused()) this.#call.resume();
    this.#endWhenDone();
  }

  #onHalfClose(): void {
    this.#halfClosed = true;
    this.#endWhenDone();
  }

  #drain(): void {
    if (this.#state !== 'serving') return;
    this.#state = 'draining';
    this.#writer.flush();
    this.#call.write({ items: [], draining: true });
    this.#endWhenDone();
  }

  #endWhenDone(): void {
    if (!this.#halfClosed || this.#state === 'ended' || this.#items.size > 0 || this.#running > 0) return;
    this.#writer.flush();
    if (this.#writer.waiting > 0) return;
    this.#state = 'ended';
    clearTimeout(this.#ageTimer);
    this.#call.end();
  }

  /** The stream died: nobody waits for the answers any more. */
  #abandon(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    clearTimeout(this.#ageTimer);
    this.#writer.stop();
    this.#waiting = [];
    this.#nextWaiting = 0;
    const items = [...this.#items.values()];
    this.#items.clear();
    for (const item of items) item.cancel();
  }
}
