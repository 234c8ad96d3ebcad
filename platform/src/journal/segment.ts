import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { CopyRows } from '../postgres/copy-rows.ts';

/**
 * A segment file: the magic, the length of the description, the description (JSON), then blocks. A block is one
 * write: 32-bit little-endian length of its content, 32-bit CRC of the content, content. The content: records, each a
 * 32-bit length and a row in Postgres' binary COPY format. So rows are shipped exactly as written, and a newer
 * program can ship an older one's segments.
 */
const MAGIC = 'HLJ1';
const PREFIX_BYTES = 8;
export const BLOCK_HEADER_BYTES = 8;
export const RECORD_HEADER_BYTES = 4;
export const MAX_BLOCK_BYTES = 512 * 1024 * 1024;

const NAME = /^(\d{12})\.segment$/;

/** The table of a segment's rows, and the order of their fields. */
const descriptionSchema = z.object({ table: z.string(), columns: z.array(z.string()).min(1) });
export type SegmentDescription = Readonly<z.output<typeof descriptionSchema>>;

/** A position between two blocks. Segments are numbered from 1; offsets are in bytes of the file. */
export interface JournalPosition {
  readonly segment: number;
  readonly offset: number;
}

export function segmentPath(directory: string, segment: number): string {
  return join(directory, `${String(segment).padStart(12, '0')}.segment`);
}

/** Numbers of the segments in a folder, ascending. */
export function listSegments(directory: string): number[] {
  const numbers: number[] = [];
  for (const name of readdirSync(directory)) {
    const match = NAME.exec(name);
    if (match?.[1] !== undefined) numbers.push(Number(match[1]));
  }
  return numbers.sort((a, b) => a - b);
}

export function encodeSegmentHeader(description: SegmentDescription): Buffer {
  const json = Buffer.from(JSON.stringify(description));
  const header = Buffer.alloc(PREFIX_BYTES + json.length);
  header.write(MAGIC, 0, 'latin1');
  header.writeUInt32LE(json.length, 4);
  json.copy(header, PREFIX_BYTES);
  return header;
}

export interface SegmentHeader {
  readonly description: SegmentDescription;
  /** Offset of the first block. */
  readonly bytes: number;
}

/** Decodes a segment's header; undefined when the bytes do not contain a complete and valid one. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < PREFIX_BYTES || bytes.toString('latin1', 0, 4) !== MAGIC) return undefined;
  const end = PREFIX_BYTES + bytes.readUInt32LE(4);
  if (end > bytes.length) return undefined;
  try {
    const description = descriptionSchema.parse(JSON.parse(bytes.toString('utf8', PREFIX_BYTES, end)));
    return { description, bytes: end };
  } catch {
    return undefined;
  }
}

export interface Scan {
  /** Number of rows in the complete and valid blocks. */
  readonly rows: number;
  /** End of the last valid block, relative to the given bytes. */
  readonly end: number;
  /** whole: nothing after `end`. partial: the rest may be a truncated block. damaged: the rest cannot be a block. */
  readonly rest: 'whole' | 'partial' | 'damaged';
  /** Size of the partial block at `end`; 0 when its length is not available yet. */
  readonly needed: number;
}

/** Scans bytes that start between two blocks; stops at the first block that reaches `maxRows`. */
export function scanBlocks(bytes: Buffer, maxRows = Number.POSITIVE_INFINITY): Scan {
  let rows = 0;
  let at = 0;
  while (at < bytes.length && rows < maxRows) {
    if (bytes.length - at < BLOCK_HEADER_BYTES) return { rows, end: at, rest: 'partial', needed: 0 };
    const length = bytes.readUInt32LE(at);
    // A hole in a file reads as length zero; no block is empty.
    if (length === 0 || length > MAX_BLOCK_BYTES) return { rows, end: at, rest: 'damaged', needed: 0 };
    const start = at + BLOCK_HEADER_BYTES;
    const end = start + length;
    if (end > bytes.length) return { rows, end: at, rest: 'partial', needed: BLOCK_HEADER_BYTES + length };
    const isSound = crc32(bytes.subarray(start, end)) === bytes.readUInt32LE(at + 4);
    const records = isSound ? countRecords(bytes, start, end) : undefined;
    if (records === undefined) return { rows, end: at, rest: 'damaged', needed: 0 };
    rows += records;
    at = end;
  }
  return { rows, end: at, rest: 'whole', needed: 0 };
}

/** Undefined when the records do not fill their block exactly. */
function countRecords(bytes: Buffer, start: number, end: number): number | undefined {
  let records = 0;
  let at = start;
  while (at + RECORD_HEADER_BYTES <= end) {
    at += RECORD_HEADER_BYTES + bytes.readUInt32LE(at);
    records++;
  }
  return at === end ? records : undefined;
}

/** Moves the rows that a scan found together, within the given memory, which then contains no blocks any more. */
export function gatherRows(bytes: Buffer, { rows, end }: Scan): CopyRows {
  const ends = new Uint32Array(rows);
  let row = 0;
  let to = 0;
  for (let at = 0; at < end; ) {
    const blockEnd = at + BLOCK_HEADER_BYTES + bytes.readUInt32LE(at);
    at += BLOCK_HEADER_BYTES;
    while (at < blockEnd) {
      const start = at + RECORD_HEADER_BYTES;
      at = start + bytes.readUInt32LE(at);
      bytes.copyWithin(to, start, at);
      to += at - start;
      ends[row++] = to;
    }
  }
  return new CopyRows(bytes, ends);
}
