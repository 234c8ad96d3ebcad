import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
} from '@grpc/grpc-js';
import { quantile, type Sample } from '../interleave.ts';

const whole = (bytes: Buffer): Buffer => bytes;
const CHANNEL = { 'grpc.max_receive_message_length': 64 * 1024 * 1024, 'grpc.use_local_subchannel_pool': 1 };
/** Limits one round if a server has stopped answering. */
const ANSWER_MS = 10_000;

/** How streams are driven. */
export interface StreamShape {
  readonly streams: number;
  /** Messages in flight on each stream. */
  readonly window: number;
  /** Whether an answer contains a failure; the run then ends with an error. */
  readonly isFailure?: (reply: Buffer) => boolean;
}

/** A steady load. */
export interface PacedShape {
  readonly streams: number;
  readonly perSecond: number;
  readonly isFailure?: (reply: Buffer) => boolean;
}

/**
 * A client that sends prepared bytes, so that both sides of a comparison cost the client the same. A rejected or
 * unanswered call ends a run with an error, because a benchmark of failures measures nothing.
 */
export interface RawLoad extends AsyncDisposable {
  /** One call; the default deadline is 10 s. Rejects with the server's error. */
  call(path: string, request: Buffer, timeoutMs?: number): Promise<Buffer>;
  /** `concurrency` callers, each with one call in flight. */
  unary(path: string, request: Buffer, concurrency: number, seconds: number): Promise<Sample>;
  stream(path: string, message: Buffer, shape: StreamShape, seconds: number): Promise<Sample>;
  /**
   * Messages at a steady rate over this many streams, whether or not earlier ones were answered. Resolves with the
   * number of answers.
   */
  paced(path: string, message: Buffer, shape: PacedShape, seconds: number): Promise<number>;
  /** A bidirectional call of raw bytes, for loads that create their own messages. */
  open(path: string, deadlineMs: number): ClientDuplexStream<Buffer, Buffer>;
}

/** `as`: credentials of an encrypted connection; default: none. */
export function rawLoad(address: string, as: ChannelCredentials = credentials.createInsecure()): RawLoad {
  const client = new Client(address, as, CHANNEL);
  return {
    call: (path, request, timeoutMs) => call(client, path, request, timeoutMs),
    unary: (path, request, concurrency, seconds) => runUnary(client, path, request, concurrency, seconds),
    stream: (path, message, shape, seconds) => runStreams(client, path, message, shape, seconds),
    paced: (path, message, shape, seconds) => runPaced(client, path, message, shape, seconds),
    open: (path, deadlineMs) => openStream(client, path, deadlineMs),
    async [Symbol.asyncDispose]() {
      client.close();
    },
  };
}

function call(client: Client, path: string, request: Buffer, timeoutMs = ANSWER_MS): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + timeoutMs };
    client.makeUnaryRequest(path, whole, whole, request, new Metadata(), options, (error, reply) =>
      error ? reject(error) : resolve(reply ?? Buffer.alloc(0)),
    );
  });
}

async function runUnary(
  client: Client,
  path: string,
  request: Buffer,
  concurrency: number,
  seconds: number,
): Promise<Sample> {
  const latencies: number[] = [];
  const start = performance.now();
  const end = start + seconds * 1000;
  async function caller(): Promise<void> {
    for (let sent = performance.now(); sent < end; sent = performance.now()) {
      await call(client, path, request);
      latencies.push(performance.now() - sent);
    }
  }
  await Promise.all(Array.from({ length: concurrency }, caller));
  return sample(latencies, latencies.length, performance.now() - start);
}

async function runStreams(
  client: Client,
  path: string,
  message: Buffer,
  shape: StreamShape,
  seconds: number,
): Promise<Sample> {
  const start = performance.now();
  const end = start + seconds * 1000;
  const counts = await Promise.all(
    Array.from({ length: shape.streams }, () => runStream(client, path, message, shape, end)),
  );
  const answered = counts.reduce((sum, count) => sum + count, 0);
  return sample([], answered, performance.now() - start);
}

function openStream(client: Client, path: string, deadlineMs: number): ClientDuplexStream<Buffer, Buffer> {
  const deadline = Date.now() + deadlineMs;
  return client.makeBidiStreamRequest(path, whole, whole, new Metadata(), { deadline });
}

/** Keeps `window` messages in flight until `end`; resolves with the number of answers once all have arrived. */
function runStream(
  client: Client,
  path: string,
  message: Buffer,
  shape: StreamShape,
  end: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = openStream(client, path, end - performance.now() + ANSWER_MS);
    let inFlight = 0;
    let answered = 0;
    const send = (): void => {
      inFlight++;
      stream.write(message);
    };
    stream.on('data', (reply: Buffer) => {
      if (shape.isFailure?.(reply)) {
        stream.cancel();
        reject(new Error(`${path} answered with a failure: ${reply.toString('latin1').slice(0, 200)}`));
        return;
      }
      answered++;
      inFlight--;
      if (performance.now() < end) send();
      else if (inFlight === 0) stream.end();
    });
    stream.on('end', () => resolve(answered));
    stream.on('error', reject);
    for (let i = 0; i < shape.window; i++) send();
  });
}

const PACE_TICK_MS = 5;

function runPaced(
  client: Client,
  path: string,
  message: Buffer,
  { streams, perSecond, isFailure }: PacedShape,
  seconds: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const opened = Array.from({ length: streams }, () =>
      openStream(client, path, seconds * 1000 + ANSWER_MS),
    );
    const start = performance.now();
    let sent = 0;
    let answered = 0;
    let ended = 0;
    const timer = setInterval(() => {
      const elapsed = Math.min(seconds, (performance.now() - start) / 1000);
      for (const due = Math.floor(elapsed * perSecond); sent < due; sent++)
        opened[sent % streams]?.write(message);
      if (elapsed < seconds) return;
      clearInterval(timer);
      for (const stream of opened) stream.end();
    }, PACE_TICK_MS);
    for (const stream of opened) {
      stream.on('data', (reply: Buffer) => {
        answered++;
        if (isFailure?.(reply)) stream.destroy(new Error(`${path} answered with a failure`));
      });
      stream.on('end', () => {
        if (++ended === streams) resolve(answered);
      });
      stream.on('error', (error) => {
        clearInterval(timer);
        reject(error);
      });
    }
  });
}

/** Operations and latencies of one turn, in the form for a comparison. */
export function sample(latencies: readonly number[], operations: number, elapsedMs: number): Sample {
  return {
    perSecond: operations / (elapsedMs / 1000),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
  };
}
