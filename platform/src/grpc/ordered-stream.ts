import type { handleBidiStreamingCall, ServerDuplexStream } from '@grpc/grpc-js';
import { type CallContext, contextOf } from './call-context.ts';

/** Requests of one stream that may be at work at once; more are not read, which holds the client back. */
const MAX_RUNNING = 256;

/**
 * A bidirectional stream on which each request is answered by one reply, in the order of the requests, while many are at
 * work. The handler answers failures with a reply too: it must not throw or reject. Replies are held back while the
 * client does not read. A stream that the client cancels is dropped, and its handlers' context signal fires.
 */
export function orderedStream<Request, Reply>(
  handle: (request: Request, context: CallContext) => Promise<Reply>,
): handleBidiStreamingCall<Request, Reply> {
  return (call) => new OrderedStream(call, contextOf(call), handle).start();
}

interface Pending<Reply> {
  reply: Reply | undefined;
}

class OrderedStream<Request, Reply> {
  readonly #call: ServerDuplexStream<Request, Reply>;
  readonly #context: CallContext;
  readonly #handle: (request: Request, context: CallContext) => Promise<Reply>;
  #pending: Pending<Reply>[] = [];
  #head = 0;
  #isPaused = false;
  #isBlocked = false;
  #hasEnded = false;
  #isOver = false;

  constructor(
    call: ServerDuplexStream<Request, Reply>,
    context: CallContext,
    handle: (request: Request, context: CallContext) => Promise<Reply>,
  ) {
    this.#call = call;
    this.#context = context;
    this.#handle = handle;
  }

  start(): void {
    const call = this.#call;
    call.on('data', (request: Request) => this.#begin(request));
    call.on('end', () => {
      this.#hasEnded = true;
      this.#flush();
    });
    call.on('drain', () => {
      this.#isBlocked = false;
      this.#flush();
    });
    const over = () => {
      this.#isOver = true;
    };
    call.on('cancelled', over);
    call.on('error', over);
  }

  #begin(request: Request): void {
    const pending: Pending<Reply> = { reply: undefined };
    this.#pending.push(pending);
    if (this.#pending.length - this.#head >= MAX_RUNNING && !this.#isPaused) {
      this.#isPaused = true;
      this.#call.pause();
    }
    void this.#handle(request, this.#context).then((reply) => {
      pending.reply = reply;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#isOver) return;
    while (!this.#isBlocked && this.#head < this.#pending.length) {
      const reply = this.#pending[this.#head]?.reply;
      if (reply === undefined) break;
      this.#head++;
      this.#isBlocked = !this.#call.write(reply);
    }
    if (this.#head === this.#pending.length) {
      this.#pending = [];
      this.#head = 0;
      if (this.#hasEnded && !this.#isOver) {
        this.#isOver = true;
        this.#call.end();
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
