import { type FileHandle, open } from 'node:fs/promises';
import type { CopyRows } from '../postgres/copy-rows.ts';
import {
  BLOCK_HEADER_BYTES,
  decodeSegmentHeader,
  gatherRows,
  type JournalPosition,
  listSegments,
  MAX_BLOCK_BYTES,
  type SegmentDescription,
  scanBlocks,
  segmentPath,
} from './segment.ts';

const MAX_HEADER_BYTES = 64 * 1024;

/** Rows of one segment, in the order in which they were written. */
export interface JournalChunk {
  readonly description: SegmentDescription;
  readonly rows: CopyRows;
  /** Where the chunk ends: the next one starts here. */
  readonly next: JournalPosition;
  /** Bytes of a finished segment that could not be read; 0 but for a damaged disk. */
  readonly lostBytes: number;
}

export interface ReadLimits {
  readonly bytes: number;
  readonly rows: number;
}

/** Reads a journal's rows, always into the same memory: a chunk is good until the next is asked for. */
export class ChunkReader {
  readonly #directory: string;
  readonly #limits: ReadLimits;
  #memory = Buffer.alloc(0);

  constructor(directory: string, limits: ReadLimits) {
    this.#directory = directory;
    this.#limits = limits;
  }

  /**
   * Rows between two positions; undefined when there are none yet. A chunk never crosses a segment. `until` is what the
   * journal says that it has written, so that a row in the making is never read.
   */
  async next(from: JournalPosition, until: JournalPosition): Promise<JournalChunk | undefined> {
    for (const segment of listSegments(this.#directory)) {
      if (segment < from.segment) continue;
      if (segment > until.segment) return undefined;
      const end = segment === until.segment ? until.offset : undefined;
      const start = segment === from.segment ? from.offset : 0;
      await using file = await open(segmentPath(this.#directory, segment), 'r');
      const size = end ?? (await file.stat()).size;
      const chunk = await this.#readSegment(file, segment, start, size, end === undefined);
      if (chunk) return chunk;
    }
    return undefined;
  }

  async #readSegment(
    file: FileHandle,
    segment: number,
    start: number,
    size: number,
    isFinished: boolean,
  ): Promise<JournalChunk | undefined> {
    const header = decodeSegmentHeader(await this.#read(file, 0, Math.min(size, MAX_HEADER_BYTES)));
    if (!header) return undefined;
    const at = Math.max(start, header.bytes);
    if (at >= size) return undefined;
    const { description } = header;
    const limits = this.#limits;
    let bytes = await this.#read(file, at, Math.min(size - at, limits.bytes));
    let scan = scanBlocks(bytes, limits.rows);
    if (scan.rows === 0 && scan.rest === 'partial' && scan.needed > limits.bytes) {
      const most = Math.min(size - at, scan.needed, MAX_BLOCK_BYTES + BLOCK_HEADER_BYTES);
      bytes = await this.#read(file, at, most);
      scan = scanBlocks(bytes, limits.rows);
    }
    // A finished segment has no half block: what cannot be read there is lost, and said so.
    const isLost = scan.rows === 0;
    if (isLost && !isFinished) return undefined;
    const rows = gatherRows(bytes, scan);
    return isLost
      ? { description, rows, next: { segment, offset: size }, lostBytes: size - at }
      : { description, rows, next: { segment, offset: at + scan.end }, lostBytes: 0 };
  }

  async #read(file: FileHandle, position: number, length: number): Promise<Buffer> {
    // More than the usual is held only as long as it is needed.
    const wanted = Math.max(length, this.#limits.bytes);
    if (this.#memory.length !== wanted) this.#memory = Buffer.allocUnsafeSlow(wanted);
    let read = 0;
    while (read < length) {
      const { bytesRead } = await file.read(this.#memory, read, length - read, position + read);
      if (bytesRead === 0) break;
      read += bytesRead;
    }
    return this.#memory.subarray(0, read);
  }
}
