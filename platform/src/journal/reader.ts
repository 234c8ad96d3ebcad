import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { CopyRows } from '../postgres/copy-rows.ts';
import {
  BLOCK_HEADER_BYTES,
  decodeSegmentHeader,
  gatherRows,
  type JournalPosition,
  listSegments,
  MAX_BLOCK_BYTES,
  type SegmentDescription,
  type SegmentHeader,
  scanBlocks,
  segmentPath,
} from './segment.ts';

const MAX_HEADER_BYTES = 64 * 1024;

/** Rows of one segment, in the order in which they were written. */
export interface JournalChunk {
  readonly description: SegmentDescription;
  readonly rows: CopyRows;
  /** The end of the chunk, where the next one starts. */
  readonly next: JournalPosition;
  /** Bytes of a finished segment that could not be read; 0 unless the disk is damaged. */
  readonly lostBytes: number;
}

export interface ReadLimits {
  readonly bytes: number;
  readonly rows: number;
}

interface OpenSegment {
  readonly number: number;
  readonly file: number;
  readonly header: SegmentHeader;
}

/**
 * Reads a journal's rows, always into the same memory: a chunk is valid until the next one is requested. Keeps its
 * current segment open, and blocks while it reads, so it is meant for a dedicated thread.
 */
export class ChunkReader implements Disposable {
  readonly #directory: string;
  readonly #limits: ReadLimits;
  #memory = Buffer.alloc(0);
  #open: OpenSegment | undefined;

  constructor(directory: string, limits: ReadLimits) {
    this.#directory = directory;
    this.#limits = limits;
  }

  /**
   * Rows between two positions; undefined when there are none yet. A chunk never crosses segments. `until` is the
   * written position that the journal reports, so that partially written rows are never read.
   */
  next(from: JournalPosition, until: JournalPosition): JournalChunk | undefined {
    for (const number of this.#segments(from, until)) {
      const segment = this.#open?.number === number ? this.#open : this.#openSegment(number);
      const chunk = segment && this.#readSegment(segment, from, until, this.#limits);
      if (chunk) return chunk;
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    const open = this.#open;
    this.#open = undefined;
    if (open) closeSync(open.file);
  }

  #segments(from: JournalPosition, until: JournalPosition): readonly number[] {
    if (from.segment === until.segment && from.segment === this.#open?.number) return [from.segment];
    return listSegments(this.#directory).filter(
      (number) => number >= from.segment && number <= until.segment,
    );
  }

  /** Replaces the open segment; undefined when the segment has no valid header. */
  #openSegment(number: number): OpenSegment | undefined {
    this[Symbol.dispose]();
    const file = openSync(segmentPath(this.#directory, number), 'r');
    try {
      const header = decodeSegmentHeader(this.#read(file, 0, MAX_HEADER_BYTES));
      if (header) this.#open = { number, file, header };
      return this.#open;
    } finally {
      if (!this.#open) closeSync(file);
    }
  }

  #readSegment(
    { number, file, header }: OpenSegment,
    from: JournalPosition,
    until: JournalPosition,
    limits: ReadLimits,
  ): JournalChunk | undefined {
    const isFinished = number < until.segment;
    const size = isFinished ? fstatSync(file).size : until.offset;
    const at = Math.max(number === from.segment ? from.offset : 0, header.bytes);
    if (at >= size) return undefined;
    let bytes = this.#read(file, at, Math.min(size - at, limits.bytes));
    let scan = scanBlocks(bytes, limits.rows);
    if (scan.rows === 0 && scan.rest === 'partial' && scan.needed > limits.bytes) {
      const most = Math.min(size - at, scan.needed, MAX_BLOCK_BYTES + BLOCK_HEADER_BYTES);
      bytes = this.#read(file, at, most);
      scan = scanBlocks(bytes, limits.rows);
    }
    // A finished segment has no partial block, so bytes that cannot be read there are lost; they are reported.
    const isLost = scan.rows === 0;
    if (isLost && !isFinished) return undefined;
    const { description } = header;
    const rows = gatherRows(bytes, scan);
    return isLost
      ? { description, rows, next: { segment: number, offset: size }, lostBytes: size - at }
      : { description, rows, next: { segment: number, offset: at + scan.end }, lostBytes: 0 };
  }

  #read(file: number, position: number, length: number): Buffer {
    // A larger buffer is kept only as long as it is needed.
    const wanted = Math.max(length, this.#limits.bytes);
    if (this.#memory.length !== wanted) this.#memory = Buffer.allocUnsafeSlow(wanted);
    let read = 0;
    while (read < length) {
      const more = readSync(file, this.#memory, read, length - read, position + read);
      if (more === 0) break;
      read += more;
    }
    return this.#memory.subarray(0, read);
  }
}
