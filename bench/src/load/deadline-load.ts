import { type FramedItem, FrameMaker, varint } from './framed-load.ts';
import type { RawLoad } from './raw-load.ts';

/**
 * `inFlight`: this many are unanswered at any time. `perSecond`: this many are sent, whether or not earlier ones are
 * answered.
 */
export type Pressure = { readonly inFlight: number } | { readonly perSecond: number };

export interface DeadlineShape {
  readonly streams: number;
  readonly pressure: Pressure;
  /** As in the prepared item; an answer is timely when it arrives within this many milliseconds after sending. */
  readonly deadlineMs: number;
}

/** Results of the items. */
export interface DeadlineResult {
  readonly asked: number;
  readonly inTime: number;
  readonly late: number;
  /** By the number of the gRPC code. */
  readonly failed: ReadonlyMap<number, number>;
  readonly inTimePerSecond: number;
}

const TICK_MS = 1;
/** The send times of this many last items of a stream are kept. */
const REMEMBERED = 2 ** 18;
const ITEMS_TAG = 0x0a;
const FAILURE_TAG = 0x1a;
const LINGER_MS = 2000;

/**
 * Drives a framed stream with prepared items and measures each answer. It encodes and decodes nothing: next to a
 * service on the same two cores, a client that does would be overloaded first.
 */
export async function deadlineLoad(
  load: RawLoad,
  path: string,
  item: FramedItem,
  shape: DeadlineShape,
  seconds: number,
): Promise<DeadlineResult> {
  const streams = Array.from(
    { length: shape.streams },
    (_, index) => new LoadedStream(load, path, item, shape.deadlineMs, seconds, index),
  );
  await ('perSecond' in shape.pressure
    ? paced(streams, shape.pressure.perSecond, seconds)
    : kept(streams, shape.pressure.inFlight, seconds));
  await Promise.all(streams.map((stream) => stream.close(shape.deadlineMs + LINGER_MS)));
  const failed = new Map<number, number>();
  for (const stream of streams)
    for (const [code, count] of stream.failed) failed.set(code, (failed.get(code) ?? 0) + count);
  const total = (of: (stream: LoadedStream) => number) =>
    streams.reduce((sum, stream) => sum + of(stream), 0);
  const inTime = total((stream) => stream.inTime);
  return {
    asked: total((stream) => stream.asked),
    inTime,
    late: total((stream) => stream.late),
    failed,
    inTimePerSecond: inTime / seconds,
  };
}

function paced(streams: readonly LoadedStream[], perSecond: number, seconds: number): Promise<void> {
  return new Promise((resolve) => {
    const start = performance.now();
    let sent = 0;
    const timer = setInterval(() => {
      const elapsed = Math.min(seconds, (performance.now() - start) / 1000);
      const due = Math.floor(elapsed * perSecond) - sent;
      const each = Math.ceil(due / streams.length);
      for (const stream of streams) {
        const count = Math.min(each, Math.floor(elapsed * perSecond) - sent);
        if (count > 0) stream.send(count);
        sent += Math.max(0, count);
      }
      if (elapsed < seconds) return;
      clearInterval(timer);
      resolve();
    }, TICK_MS);
  });
}

function kept(streams: readonly LoadedStream[], inFlight: number, seconds: number): Promise<void> {
  return new Promise((resolve) => {
    const each = Math.ceil(inFlight / streams.length);
    for (const stream of streams) {
      stream.onAnswered = (count) => stream.send(count);
      stream.send(each);
    }
    setTimeout(() => {
      for (const stream of streams) stream.onAnswered = undefined;
      resolve();
    }, seconds * 1000);
  });
}

class LoadedStream {
  asked = 0;
  inTime = 0;
  late = 0;
  readonly failed = new Map<number, number>();
  onAnswered: ((count: number) => void) | undefined;
  readonly #stream: ReturnType<RawLoad['open']>;
  readonly #frames: FrameMaker;
  readonly #deadlineMs: number;
  readonly #sentAt = new Float64Array(REMEMBERED);
  readonly #ended = Promise.withResolvers<void>();
  #nextSequence: number;
  #unanswered = 0;
  #isClosing = false;

  constructor(
    load: RawLoad,
    path: string,
    item: FramedItem,
    deadlineMs: number,
    seconds: number,
    index: number,
  ) {
    this.#frames = new FrameMaker(item, index);
    this.#nextSequence = this.#frames.nextSequence;
    this.#deadlineMs = deadlineMs;
    this.#stream = load.open(path, seconds * 1000 + deadlineMs + 2 * LINGER_MS + 10_000);
    this.#stream.on('data', (frame: Buffer) => this.#read(frame));
    this.#stream.on('error', (error) => this.#ended.reject(error));
    this.#stream.on('end', () => this.#ended.resolve());
    this.#ended.promise.catch(() => undefined);
  }

  send(count: number): void {
    const now = performance.now();
    for (let index = 0; index < count; index++) this.#sentAt[this.#nextSequence++ % REMEMBERED] = now;
    this.#stream.write(this.#frames.next(count));
    this.asked += count;
    this.#unanswered += count;
  }

  /** Waits for unanswered items, and ends the stream. Rejects with the error that ended it earlier. */
  async close(waitMs: number): Promise<void> {
    this.#isClosing = true;
    const timer = setTimeout(() => this.#stream.end(), waitMs);
    if (this.#unanswered === 0) this.#stream.end();
    await this.#ended.promise;
    clearTimeout(timer);
  }

  #read(frame: Buffer): void {
    const now = performance.now();
    let answered = 0;
    for (let at = 0; at < frame.length; ) {
      const tag = frame[at++];
      const [length, start] = varint(frame, at);
      // The only other field is the flag that the stream should end.
      if (tag !== ITEMS_TAG) {
        at = start;
        continue;
      }
      const [sequence, kindAt] = varint(frame, start + 1);
      answered++;
      if (frame[kindAt] === FAILURE_TAG) {
        const [, failureAt] = varint(frame, kindAt + 1);
        const [code] = varint(frame, failureAt + 1);
        this.failed.set(code, (this.failed.get(code) ?? 0) + 1);
      } else if (now - (this.#sentAt[sequence % REMEMBERED] ?? 0) <= this.#deadlineMs) this.inTime++;
      else this.late++;
      at = start + length;
    }
    this.#unanswered -= answered;
    if (answered > 0) this.onAnswered?.(answered);
    if (this.#isClosing && this.#unanswered === 0) this.#stream.end();
  }
}
