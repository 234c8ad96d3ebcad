import { type FileHandle, open } from 'node:fs/promises';
import {
  BLOCK_HEADER_BYTES,
  decodeSegmentHeader,
  type JournalPosition,
  listSegments,
  MAX_BLOCK_BYTES,
  type SegmentDescription,
  scanBlocks,
  segmentPath,
} from './segment.ts';

const MAX_HEADER_BYTES = 64 * 1024;

/** Rows of one segment, as they lie in the file. */
export interface JournalChunk {
  readonly description: SegmentDescription;
  /** Rows in Postgres' binary COPY format. */
  readonly rows: readonly Buffer[];
  /** Where the chunk ends: the next one starts here. */
  readonly next: JournalPosition;
  /** Bytes of a finished segment that could not be read; 0 but for a damaged disk. */
  readonly lostBytes: number;
}

export interface ReadLimits {
  readonly bytes: number;
  readonly rows: number;
}

/**
 * Reads rows between two positions; undefined when there are none yet. A chunk never crosses a segment. `until` is
 * what the journal says that it has written, so that a row in the making is never read.
 */
export async function readChunk(
  directory: string,
  from: JournalPosition,
  until: JournalPosition,
  limits: ReadLimits,
): Promise<JournalChunk | undefined> {
  for (const segment of listSegments(directory)) {
    if (segment < from.segment) continue;
    if (segment > until.segment) return undefined;
    const end = segment === until.segment ? until.offset : undefined;
    const start = segment === from.segment ? from.offset : 0;
    await using file = await open(segmentPath(directory, segment), 'r');
    const size = end ?? (await file.stat()).size;
    const chunk = await readSegment(file, segment, start, size, limits, end === undefined);
    if (chunk) return chunk;
  }
  return undefined;
}

async function readSegment(
  file: FileHandle,
  segment: number,
  start: number,
  size: number,
  limits: ReadLimits,
  isFinished: boolean,
): Promise<JournalChunk | undefined> {
  const header = decodeSegmentHeader(await readAt(file, 0, Math.min(size, MAX_HEADER_BYTES)));
  if (!header) return undefined;
  const at = Math.max(start, header.bytes);
  if (at >= size) return undefined;
  const { description } = header;
  let scan = scanBlocks(await readAt(file, at, Math.min(size - at, limits.bytes)), limits.rows);
  if (scan.rows.length === 0 && scan.rest === 'partial' && scan.needed > limits.bytes) {
    const bytes = Math.min(size - at, scan.needed, MAX_BLOCK_BYTES + BLOCK_HEADER_BYTES);
    scan = scanBlocks(await readAt(file, at, bytes), limits.rows);
  }
  const next = at + scan.end;
  // A finished segment has no half block: what cannot be read there is lost, and said so.
  if (scan.rows.length === 0)
    return isFinished
      ? { description, rows: [], next: { segment, offset: size }, lostBytes: size - at }
      : undefined;
  return { description, rows: scan.rows, next: { segment, offset: next }, lostBytes: 0 };
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await file.read(bytes, read, length - read, position + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return bytes.subarray(0, read);
}
