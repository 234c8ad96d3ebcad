import type { handleBidiStreamingCall, ServerDuplexStream } from '@grpc/grpc-js';
import type { HotloopError } from '@hotloop/proto/errors.ts';
import { type CallContext, contextOf } from '../../grpc/call-context.ts';
import { UnreadableRequest } from '../../grpc/unreadable-request.ts';
import { openReplyWriter, type ReplyWriter } from './reply-writer.ts';

/**
 * Requests of one stream that may run at the same time; further ones are not read, which applies backpressure to the
 * client.
 */
const MAX_RUNNING = 256;

/** Returns the encoded answer to one request. Must not throw or reject: failures are encoded as answers too. */
export type AnswerRequest<Request> = (request: Request, context: CallContext) => Promise<Buffer>;

/** Returns the encoded answer to bytes that cannot be decoded as a request. */
export type RefuseUnreadable = (error: HotloopError) => Buffer;

/**
 * A bidirectional stream on which each request is answered by one reply, in the order of the requests, while many run
 * concurrently. Replies are held back while the client does not read. A stream that the client cancels is dropped,
 * and the signals of its handlers' contexts fire.
 */
export function orderedStream<Request>(
  answer: AnswerRequest<Request>,
  refuse: RefuseUnreadable,
): handleBidiStreamingCall<Request, Buffer> {
  return (call) => new OrderedStream(call, contextOf(call), answer, refuse).start();
}

interface Pending {
  reply: Buffer | undefined;
}

class OrderedStream<Request> {
  readonly #call: ServerDuplexStream<Request, Buffer>;
  readonly #context: CallContext;
  readonly #answer: AnswerRequest<Request>;
  readonly #refuse: RefuseUnreadable;
  readonly #writer: ReplyWriter;
  #pending: Pending[] = [];
  #head = 0;
  #isPaused = false;
  #hasEnded = false;
  #isOver = false;

  constructor(
    call: ServerDuplexStream<Request, Buffer>,
    context: CallContext,
    answer: AnswerRequest<Request>,
    refuse: RefuseUnreadable,
  ) {
    this.#call = call;
    this.#context = context;
    this.#answer = answer;
    this.#refuse = refuse;
    this.#writer = openReplyWriter(call, () => this.#flush());
  }

  start(): void {
    const call = this.#call;
    call.on('data', (request: Request | UnreadableRequest) => this.#begin(request));
    call.on('end', () => {
      this.#hasEnded = true;
      this.#flush();
    });
    const over = () => {
      this.#isOver = true;
    };
    call.on('cancelled', over);
    call.on('error', over);
  }

  #begin(request: Request | UnreadableRequest): void {
    const pending: Pending = { reply: undefined };
    this.#pending.push(pending);
    if (this.#pending.length - this.#head >= MAX_RUNNING && !this.#isPaused) {
      this.#isPaused = true;
      this.#call.pause();
    }
    if (request instanceof UnreadableRequest) {
      pending.reply = this.#refuse(request.refusal());
      this.#flush();
      return;
    }
    void this.#answer(request, this.#context).then((reply) => {
      pending.reply = reply;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#isOver) return;
    while (!this.#writer.isBlocked && this.#head < this.#pending.length) {
      const reply = this.#pending[this.#head]?.reply;
      if (reply === undefined) break;
      this.#head++;
      this.#writer.write(reply);
    }
    if (this.#head === this.#pending.length) {
      this.#pending = [];
      this.#head = 0;
      if (this.#hasEnded && !this.#isOver) {
        this.#isOver = true;
        this.#writer.end();
      }
    } else if (this.#head >= MAX_RUNNING) {
      this.#pending = this.#pending.slice(this.#head);
      this.#head = 0;
    }
    if (this.#isPaused && this.#pending.length - this.#head < MAX_RUNNING / 2) {
      this.#isPaused = false;
      this.#call.resume();
    }
  }
}
