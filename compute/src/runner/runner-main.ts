import { readFileSync, readSync, writeSync } from 'node:fs';
import {
  decodeFrame,
  encodeFrame,
  FRAME_HEADER_BYTES,
  type FrameParts,
  type FramePlace,
  frameLength,
  MAX_ANSWER_BYTES,
  placeOf,
  textOf,
  textTensor,
} from './frames.ts';
import type { LoadOptions } from './load-options.ts';
import type { RunnerSession } from './runner-session.ts';

/**
 * The process of one loaded version of a model. Reads frames from file descriptor 3 and answers each in order. Reads
 * block, because there is nothing else to do meanwhile. When the service ends, the read ends, and so does the runner.
 */
const SOCKET = 3;
/** Large frames are in a file; the socket says where. */
const FRAME_FILE = 4;

class FrameReader {
  #buffer = Buffer.allocUnsafeSlow(1024 * 1024);
  #fetched = Buffer.alloc(0);
  #start = 0;
  #end = 0;

  /** The next frame, valid until the next call; undefined when the other side has closed the socket. */
  next(): Buffer | undefined {
    while (this.#end - this.#start < FRAME_HEADER_BYTES)
      if (!this.#read(FRAME_HEADER_BYTES)) return undefined;
    const length = this.#buffer.readUInt32LE(this.#start);
    while (this.#end - this.#start < length) if (!this.#read(length)) return undefined;
    const frame = this.#buffer.subarray(this.#start, this.#start + length);
    this.#start += length;
    const place = placeOf(frame);
    return place ? this.#fetch(place) : frame;
  }

  #fetch({ position, length }: FramePlace): Buffer {
    if (this.#fetched.length < length) this.#fetched = Buffer.allocUnsafeSlow(length);
    const frame = this.#fetched.subarray(0, length);
    for (let at = 0; at < length; ) {
      const read = readSync(FRAME_FILE, frame, at, length - at, position + at);
      if (read === 0) throw new RangeError('a frame is not where it should be');
      at += read;
    }
    return frame;
  }

  /** Releases large memory, such as that of the model's file. Bytes that were read ahead are kept. */
  shrink(): void {
    const rest = Buffer.from(this.#buffer.subarray(this.#start, this.#end));
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(1024 * 1024, rest.length));
    this.#buffer.set(rest);
    this.#start = 0;
    this.#end = rest.length;
  }

  #read(wanted: number): boolean {
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
    }
    if (this.#start + wanted > this.#buffer.length) {
      const larger = wanted > this.#buffer.length ? Buffer.allocUnsafeSlow(wanted) : this.#buffer;
      this.#buffer.copy(larger, 0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
      this.#buffer = larger;
    }
    const read = readSync(SOCKET, this.#buffer, this.#end, this.#buffer.length - this.#end, null);
    this.#end += read;
    return read > 0;
  }
}

/** Writes each frame from the same buffer, which grows to the largest frame. */
class FrameWriter {
  #buffer = Buffer.allocUnsafeSlow(256 * 1024);

  /** Throws RangeError, before anything is sent, for a frame that the other side would reject. */
  send(parts: FrameParts): void {
    const length = frameLength(parts);
    if (length > MAX_ANSWER_BYTES)
      throw new RangeError(`an answer of ${length} bytes exceeds the maximum of ${MAX_ANSWER_BYTES}`);
    const frame = encodeFrame(parts, (bytes) => {
      if (bytes > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(bytes * 2);
      return this.#buffer.subarray(0, bytes);
    });
    for (let at = 0; at < frame.length; ) at += writeSync(SOCKET, frame, at, frame.length - at);
  }

  fail(id: number, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.send({ id, kind: 'failed', tensors: [textTensor(message)] });
  }
}

/** Private memory of this process in bytes: without code and libraries, which all runners share. */
function privateMemory(): number {
  try {
    const kilobytes = /RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
    if (kilobytes !== undefined) return Number(kilobytes) * 1024;
  } catch {
    // This system does not provide it.
  }
  return process.memoryUsage.rss();
}

async function load(frame: Buffer, writer: FrameWriter): Promise<RunnerSession | undefined> {
  const { id, tensors } = decodeFrame(frame);
  try {
    const options: LoadOptions = JSON.parse(textOf(tensors[0]));
    const onnx = tensors[1]?.contents ?? new Uint8Array();
    // The runtime's binding cannot read Float16Array; when that class is missing, it accepts 16-bit integers.
    Reflect.deleteProperty(globalThis, 'Float16Array');
    // The binding waits one turn of the event loop before every run. Nothing else runs here, so that would only
    // add latency.
    Reflect.set(globalThis, 'setImmediate', queueMicrotask);
    const { loadSession } = await import('./runner-session.ts');
    const session = await loadSession(onnx, options, tensors.slice(2));
    writer.send({
      id,
      kind: 'loaded',
      tensors: [textTensor(JSON.stringify(session.model))],
      memoryBytes: privateMemory(),
    });
    return session;
  } catch (error) {
    writer.fail(id, error);
    return undefined;
  }
}

async function run(session: RunnerSession, frame: Buffer, writer: FrameWriter): Promise<void> {
  const { id, kind, tensors } = decodeFrame(frame);
  if (kind === 'ping') return writer.send({ id, kind: 'pong', tensors: [], memoryBytes: privateMemory() });
  try {
    const started = performance.now();
    const outputs = await session.run(tensors);
    writer.send({
      id,
      kind: 'result',
      tensors: outputs,
      runUs: Math.round((performance.now() - started) * 1000),
    });
  } catch (error) {
    writer.fail(id, error);
  }
}

async function main(): Promise<void> {
  // A terminal sends Ctrl-C to every process of the group, but the service decides when its runners end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  const reader = new FrameReader();
  const writer = new FrameWriter();
  const first = reader.next();
  if (!first) return;
  const session = await load(first, writer);
  reader.shrink();
  if (!session) return;
  for (let frame = reader.next(); frame; frame = reader.next()) await run(session, frame, writer);
}

main().then(
  () => process.exit(0),
  () => process.exit(1),
);
