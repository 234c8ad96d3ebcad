import type { ServerHttp2Stream } from 'node:http2';
import { Metadata, type ServerDuplexStream } from '@grpc/grpc-js';

/** Header of every message of a gRPC stream: a byte for compression (0), and the length. */
const MESSAGE_HEADER_BYTES = 5;
/** Joining copies bytes, so larger replies are sent without waiting for more. */
const MAX_JOINED_BYTES = 128 * 1024;

/** Writes encoded replies to one stream. */
export interface ReplyWriter {
  /** Accepts a reply at any time; more should follow only while `isBlocked` is false. */
  write(reply: Buffer): void;
  /** True while the client reads more slowly than replies are written. */
  readonly isBlocked: boolean;
  /** Ends the stream after the last reply. */
  end(): void;
}

/**
 * Sends all replies of one turn of the event loop in one write. grpc-js itself writes one message per turn, and on
 * both sides each write costs more than a small message. `onDrain` is called whenever the client has caught up.
 */
export function openReplyWriter(call: ServerDuplexStream<unknown, Buffer>, onDrain: () => void): ReplyWriter {
  const stream = http2StreamOf(call);
  return stream ? new JoiningWriter(call, stream, onDrain) : new SingleWriter(call, onDrain);
}

/**
 * grpc-js keeps the HTTP/2 stream in a private field of its call. If a later release moves it, replies are sent one
 * by one.
 */
export function http2StreamOf(call: object): ServerHttp2Stream | undefined {
  const inner: unknown = Reflect.get(call, 'call');
  const stream: unknown = isObject(inner) ? Reflect.get(inner, 'stream') : undefined;
  return isObject(stream) && 'respond' in stream && 'write' in stream && 'session' in stream
    ? (stream as ServerHttp2Stream)
    : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

class JoiningWriter implements ReplyWriter {
  readonly #call: ServerDuplexStream<unknown, Buffer>;
  readonly #stream: ServerHttp2Stream;
  readonly #join = () => this.#writeJoined();
  #replies: Buffer[] = [];
  #bytes = 0;
  #hasBegun = false;

  constructor(call: ServerDuplexStream<unknown, Buffer>, stream: ServerHttp2Stream, onDrain: () => void) {
    this.#call = call;
    this.#stream = stream;
    stream.on('drain', onDrain);
  }

  get isBlocked(): boolean {
    return this.#stream.writableNeedDrain;
  }

  write(reply: Buffer): void {
    // Runs after the promises that are already settled, because these produce more replies.
    if (this.#replies.push(reply) === 1) process.nextTick(this.#join);
    this.#bytes += MESSAGE_HEADER_BYTES + reply.length;
    if (this.#bytes >= MAX_JOINED_BYTES) this.#writeJoined();
  }

  end(): void {
    this.#writeJoined();
    this.#call.end();
  }

  #writeJoined(): void {
    const replies = this.#replies;
    if (replies.length === 0) return;
    const joined = Buffer.allocUnsafe(this.#bytes);
    this.#replies = [];
    this.#bytes = 0;
    // The client has disconnected, or the call has ended with a status meanwhile.
    if (!this.#stream.writable) return;
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      this.#call.sendMetadata(new Metadata());
    }
    let at = 0;
    for (const reply of replies) {
      joined[at] = 0;
      joined.writeUInt32BE(reply.length, at + 1);
      joined.set(reply, at + MESSAGE_HEADER_BYTES);
      at += MESSAGE_HEADER_BYTES + reply.length;
    }
    this.#stream.write(joined);
  }
}

class SingleWriter implements ReplyWriter {
  readonly #call: ServerDuplexStream<unknown, Buffer>;

  constructor(call: ServerDuplexStream<unknown, Buffer>, onDrain: () => void) {
    this.#call = call;
    call.on('drain', onDrain);
  }

  get isBlocked(): boolean {
    return this.#call.writableNeedDrain;
  }

  write(reply: Buffer): void {
    this.#call.write(reply);
  }

  end(): void {
    this.#call.end();
  }
}
