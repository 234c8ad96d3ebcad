import { randomUUID } from 'node:crypto';
import { closeSync, constants, existsSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeFrame, type FrameParts, type FramePlace, frameLength } from './frames.ts';

/** In memory, where the system has it. */
const FOLDER = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
/** One for each batch that a runner can hold. */
const PLACES = 2;
/** What lies between the places takes no memory. */
const PLACE_BYTES = 4 * 1024 ** 2;
/** Below that, a socket takes a frame at once, and one call does it. */
const MIN_BYTES = 32 * 1024;

/** Where frames are made before they are written. One is enough: writing does not wait. */
let memory = Buffer.alloc(0);

function scratch(bytes: number): Buffer {
  if (memory.length < bytes) memory = Buffer.allocUnsafeSlow(bytes);
  return memory.subarray(0, bytes);
}

/**
 * A file without a name in which frames wait for one runner that are too large for its socket: the socket holds some
 * hundred kilobytes, and the rest of a larger frame would be fetched only after the run before it, when its sender
 * comes to it. The pages are used again and again. Holds no more than two frames of 4 MiB.
 */
export class FrameFile {
  /** For the runner, which may only read. */
  readonly readable: number;
  #writable: number | undefined;
  readonly #free = Array.from({ length: PLACES }, (_, place) => place * PLACE_BYTES);

  private constructor(writable: number, readable: number) {
    this.#writable = writable;
    this.readable = readable;
  }

  /** Undefined where no such file can be made: frames then go through the socket. */
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

  /** Writes a frame where there is room for it; undefined when it must take the socket. */
  put(parts: FrameParts): FramePlace | undefined {
    const length = frameLength(parts);
    if (length < MIN_BYTES || length > PLACE_BYTES) return undefined;
    const position = this.#free.pop();
    if (position === undefined || this.#writable === undefined) return undefined;
    try {
      const frame = encodeFrame(parts, scratch);
      if (writeSync(this.#writable, frame, 0, length, position) === length) return { position, length };
    } catch {
      // Full, most likely: the place of files in memory may be small.
    }
    this.#free.push(position);
    return undefined;
  }

  /** The runner has read it. */
  release(place: FramePlace): void {
    this.#free.push(place.position);
  }

  /** To be called once the runner has inherited its side of the file, which is then closed here. */
  given(): void {
    closeSync(this.readable);
  }

  close(): void {
    if (this.#writable !== undefined) closeSync(this.#writable);
    this.#writable = undefined;
  }
}
