import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { StreamTable } from '@hotloop/platform/grpc/stream-table.ts';

/** One connection for unary calls with prepared requests. It ends with the server, and after 2 GiB of answers. */
export interface BareLoad extends AsyncDisposable {
  /**
   * Returns a function that sends one request per call, with at most as many in flight as the server allows; others
   * wait. It resolves when the answer has a message of at least one byte; it rejects when the call was rejected or
   * not answered in time, or the connection has ended. Throws RangeError for a request of more than 16 KiB. The
   * server's flow control windows are ignored.
   */
  caller(path: string, message: Buffer): () => Promise<void>;
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const FRAME_HEADER_BYTES = 9;
const STREAM_ID_AT = 5;
const MAX_STREAM_ID = 0x7fffffff;
const TYPE = {
  data: 0,
  headers: 1,
  resetStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;
const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;
const SETTING = { headerTableSize: 1, maxConcurrentStreams: 3, initialWindowSize: 4 } as const;
/** The frame size that every server accepts. */
const MAX_FRAME_BYTES = 16_384;
const LARGEST_WINDOW = 0x7fffffff;
const FIRST_WINDOW = 65_535;
const GRPC_PREFIX_BYTES = 5;
const DEFAULT_CONCURRENT = 100;
/** As in the requests' own timeout header. */
const ANSWER_SECONDS = 10;
/** A server that does not answer a call for this long counts as hung. */
const HUNG_MS = 15_000;
const LOOK_MS = 1_000;
const SETTING_BYTES = 6;
/** The longest text whose length fits into one byte. */
const MAX_TEXT = 126;

/**
 * A load generator for tail latencies: it writes HTTP/2 frames, and only checks whether an answer has a message; an
 * error has none. grpc-js' client allocates some 20 KB of objects per call and collects them in pauses of tens of
 * milliseconds, which at a few thousand calls per second would dominate the tail. This one allocates almost nothing.
 */
export async function openBareLoad(address: string): Promise<BareLoad> {
  const [host = '', port] = address.split(':');
  const socket = connect({ host, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  return new BareConnection(socket, address);
}

interface Waiting {
  readonly request: Buffer;
  readonly sentAt: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  hasMessage: boolean;
}

class BareConnection implements BareLoad {
  readonly #socket: Socket;
  readonly #address: string;
  readonly #waiting = new StreamTable<Waiting>();
  /** Calls beyond the server's limit. */
  readonly #held: Waiting[] = [];
  #rest = Buffer.alloc(0);
  #nextStream = 1;
  #concurrent = DEFAULT_CONCURRENT;
  #unsent: Buffer[] = [];
  #ended: Error | undefined;
  readonly #looking: NodeJS.Timeout;
  readonly #write = () => {
    const frames = this.#unsent;
    this.#unsent = [];
    if (!this.#ended) this.#socket.write(Buffer.concat(frames));
  };

  constructor(socket: Socket, address: string) {
    this.#socket = socket;
    this.#address = address;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the server has closed the connection')));
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
    socket.write(Buffer.concat([PREFACE, settings(), windowUpdate(LARGEST_WINDOW - FIRST_WINDOW)]));
  }

  caller(path: string, message: Buffer): () => Promise<void> {
    const request = requestFrames(this.#address, path, message);
    return () => {
      if (this.#ended) return Promise.reject(this.#ended);
      return new Promise((resolve, reject) => {
        this.#held.push({ request, sentAt: performance.now(), resolve, reject, hasMessage: false });
        this.#sendHeld();
      });
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(new Error('the load has ended'));
  }

  #look(): void {
    const oldest = performance.now() - HUNG_MS;
    const isHung = [...this.#waiting.values(), ...this.#held].some(({ sentAt }) => sentAt < oldest);
    if (isHung) this.#end(new Error('the server does not answer'));
  }

  #sendHeld(): void {
    while (this.#waiting.size < this.#concurrent) {
      const waiting = this.#held.shift();
      if (!waiting) return;
      this.#send(waiting);
    }
  }

  /** All calls of one turn of the event loop are sent in one write. */
  #send(waiting: Waiting): void {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.#waiting.set(stream, waiting);
    const frames = Buffer.from(waiting.request);
    frames.writeUInt32BE(stream, STREAM_ID_AT);
    frames.writeUInt32BE(stream, FRAME_HEADER_BYTES + frames.readUIntBE(0, 3) + STREAM_ID_AT);
    if (this.#unsent.push(frames) === 1) process.nextTick(this.#write);
  }

  #receive(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const length = bytes.readUIntBE(at, 3);
      if (bytes.length - at < FRAME_HEADER_BYTES + length) break;
      const stream = bytes.readUInt32BE(at + STREAM_ID_AT) & MAX_STREAM_ID;
      this.#frame(
        bytes[at + 3] ?? 0,
        bytes[at + 4] ?? 0,
        stream,
        bytes.subarray(at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + length),
      );
      at += FRAME_HEADER_BYTES + length;
    }
    this.#rest = Buffer.from(bytes.subarray(at));
  }

  #frame(type: number, flags: number, stream: number, content: Buffer): void {
    const waiting = this.#waiting.get(stream);
    if (type === TYPE.data && waiting && content.length > GRPC_PREFIX_BYTES) waiting.hasMessage = true;
    else if (type === TYPE.settings && (flags & FLAG.ack) === 0) {
      for (let at = 0; at + SETTING_BYTES <= content.length; at += SETTING_BYTES)
        if (content.readUInt16BE(at) === SETTING.maxConcurrentStreams)
          this.#concurrent = content.readUInt32BE(at + 2);
      this.#socket.write(frame(TYPE.settings, FLAG.ack, 0, Buffer.alloc(0)));
      this.#sendHeld();
    } else if (type === TYPE.ping && (flags & FLAG.ack) === 0)
      this.#socket.write(frame(TYPE.ping, FLAG.ack, 0, content));
    else if (type === TYPE.goAway) this.#end(new Error('the server sent GOAWAY'));
    const isLast =
      type === TYPE.resetStream ||
      ((type === TYPE.headers || type === TYPE.data) && (flags & FLAG.endStream) !== 0);
    if (!isLast || !waiting) return;
    this.#waiting.delete(stream);
    if (waiting.hasMessage && type !== TYPE.resetStream) waiting.resolve();
    else waiting.reject(new Error('a call was refused'));
    this.#sendHeld();
  }

  #end(error: Error): void {
    this.#ended ??= error;
    clearInterval(this.#looking);
    this.#socket.destroy();
    const { message } = this.#ended;
    this.#waiting.forEach((waiting, stream) => {
      this.#waiting.delete(stream);
      waiting.reject(new Error(message));
    });
    for (const waiting of this.#held.splice(0)) waiting.reject(new Error(message));
  }
}

/**
 * HEADERS and DATA of one call, on stream 0: the stream id is inserted when it is sent. Throws when it needs more
 * than one frame.
 */
function requestFrames(authority: string, path: string, message: Buffer): Buffer {
  const headers = Buffer.concat(
    [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', authority],
      ['te', 'trailers'],
      ['content-type', 'application/grpc'],
      ['grpc-timeout', `${ANSWER_SECONDS}S`],
    ].map(([name = '', value = '']) => literal(name, value)),
  );
  if (GRPC_PREFIX_BYTES + message.length > MAX_FRAME_BYTES) throw new RangeError('a request takes one frame');
  const data = Buffer.alloc(GRPC_PREFIX_BYTES + message.length);
  data.writeUInt32BE(message.length, 1);
  message.copy(data, GRPC_PREFIX_BYTES);
  return Buffer.concat([
    frame(TYPE.headers, FLAG.endHeaders, 0, headers),
    frame(TYPE.data, FLAG.endStream, 0, data),
  ]);
}

/** A literal header field without indexing, name and value up to 126 bytes (RFC 7541, 6.2.2). */
function literal(name: string, value: string): Buffer {
  if (name.length > MAX_TEXT || value.length > MAX_TEXT)
    throw new RangeError('too long for one byte of length');
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name, 'latin1'),
    Buffer.from([value.length]),
    Buffer.from(value, 'latin1'),
  ]);
}

function settings(): Buffer {
  const content = Buffer.alloc(12);
  content.writeUInt16BE(SETTING.headerTableSize, 0);
  content.writeUInt16BE(SETTING.initialWindowSize, 6);
  content.writeUInt32BE(LARGEST_WINDOW, 8);
  return frame(TYPE.settings, 0, 0, content);
}

function windowUpdate(bytes: number): Buffer {
  const content = Buffer.alloc(4);
  content.writeUInt32BE(bytes);
  return frame(TYPE.windowUpdate, 0, 0, content);
}

function frame(type: number, flags: number, stream: number, content: Buffer): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUIntBE(content.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, content]);
}
