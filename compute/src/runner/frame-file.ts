import { randomUUID } from 'node:crypto';
import { closeSync, constants, existsSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeFrame, type FrameParts, type FramePlace, frameLength } from './frames.ts';

/** A file system in memory, if there is one. */
const FOLDER = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
/** One place for each batch that can be sent to a runner. */
const PLACES = 2;
/** The file is sparse: the gaps between places use no memory. */
const PLACE_BYTES = 4 * 1024 ** 2;
/** Smaller frames fit into the socket's buffer and need only one call. */
const MIN_BYTES = 32 * 1024;

/** Scratch memory in which frames are encoded. One is enough, because writes are synchronous. */
let memory = Buffer.alloc(0);

function scratch(bytes: number): Buffer {
  if (memory.length < bytes) memory = Buffer.allocUnsafeSlow(bytes);
  return memory.subarray(0, bytes);
}

/**
 * An unnamed file for frames that are too large for a runner's socket. A socket buffers some hundred kilobytes; the
 * rest of a larger frame would be transferred only after the previous run, when the sender gets to it. The pages of
 * the file are reused. Holds at most two frames of 4 MiB each.
 */
export class FrameFile {
  /** File descriptor for the runner, read-only. */
  readonly readable: number;
  #writable: number | undefined;
  readonly #free = Array.from({ length: PLACES }, (_, place) => place * PLACE_BYTES);

  private constructor(writable: number, readable: number) {
    this.#writable = writable;
    this.readable = readable;
  }

  /** Undefined if no such file can be created: frames then go through the socket. */
  static open(): FrameFile | undefined {
    const path = join(FOLDER, `hotloop-frames-${randomUUID()}`);
    const { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = constants;
    let writable: number | undefined;
    try {
      writable = openSync(path, O_CREAT | O_EXCL | O_WRONLY, 0o400);
      return new FrameFile(writable, openSync(path, O_RDONLY));
    } catch {
      if (writable !== undefined) closeSync(writable);
      return undefined;
    } finally {
      if (writable !== undefined) unlinkSync(path);
    }
  }

  /** Writes a frame if there is room for it; undefined when it must go through the socket. */
  put(parts: FrameParts): FramePlace | undefined {
    const length = frameLength(parts);
    if (length < MIN_BYTES || length > PLACE_BYTES) return undefined;
    const position = this.#free.pop();
    if (position === undefined || this.#writable === undefined) return undefined;
    try {
      const frame = encodeFrame(parts, scratch);
      if (writeSync(this.#writable, frame, 0, length, position) === length) return { position, length };
    } catch {
      // Most likely full: the file system in memory may be small.
    }
    this.#free.push(position);
    return undefined;
  }

  /** Call when the runner has read the frame. */
  release(place: FramePlace): void {
    this.#free.push(place.position);
  }

  /** Call once the runner has inherited the read-only descriptor, which is then closed here. */
  given(): void {
    closeSync(this.readable);
  }

  close(): void {
    if (this.#writable !== undefined) closeSync(this.#writable);
    this.#writable = undefined;
  }
}
