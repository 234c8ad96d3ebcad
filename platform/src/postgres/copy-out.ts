import { HotloopError } from '@hotloop/proto/errors.ts';
import type { PoolClient } from 'pg';
import { to } from 'pg-copy-streams';

/** Fields of one row in Postgres' binary format; null for NULL. Shares the memory of its chunk. */
export type BinaryRow = readonly (Buffer | null)[];

/** Signature, flags and length of the header extension: 11, 4 and 4 bytes. */
const HEADER_BYTES = 19;

/**
 * Reads the rows of a SELECT through binary COPY: several times faster than as text, and in bounded memory, because
 * Postgres waits for the reader. `select` has no parameters; quote values in it with `client.escapeLiteral`. Yields
 * the rows of each chunk. Rejects with Postgres' own error.
 */
export async function* copyOut(client: PoolClient, select: string): AsyncGenerator<BinaryRow[]> {
  const stream = client.query(to(`COPY (${select}) TO STDOUT (FORMAT binary)`));
  let rest: Buffer = Buffer.alloc(0);
  let isFirst = true;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    if (isFirst) {
      if (bytes.length < HEADER_BYTES) {
        rest = bytes;
        continue;
      }
      bytes = bytes.subarray(HEADER_BYTES + bytes.readInt32BE(HEADER_BYTES - 4));
      isFirst = false;
    }
    const rows: BinaryRow[] = [];
    let at = 0;
    for (let next = readRow(bytes, at, rows); next > at; next = readRow(bytes, at, rows)) at = next;
    rest = bytes.subarray(at);
    if (rows.length > 0) yield rows;
  }
  if (rest.length !== 0) throw new HotloopError('DATA_LOSS', 'the rows of a query were cut short');
}

/** Adds the row that starts at `at`, if it is complete. Returns where the next row starts, else `at`. */
function readRow(bytes: Buffer, at: number, rows: BinaryRow[]): number {
  if (at + 2 > bytes.length) return at;
  const fields = bytes.readInt16BE(at);
  if (fields === -1) return at + 2;
  const row: (Buffer | null)[] = [];
  let place = at + 2;
  for (let field = 0; field < fields; field++) {
    if (place + 4 > bytes.length) return at;
    const length = bytes.readInt32BE(place);
    place += 4;
    if (length < 0) row.push(null);
    else {
      if (place + length > bytes.length) return at;
      row.push(bytes.subarray(place, place + length));
      place += length;
    }
  }
  rows.push(row);
  return place;
}

/** A uuid as text. */
export function uuidOf(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** 1 January 2000, the epoch from which Postgres counts microseconds. */
const EPOCH_MS = Date.UTC(2000, 0, 1);

/** A timestamptz as milliseconds since 1970, rounded. */
export function timestampMsOf(bytes: Buffer): number {
  return Math.round(Number(bytes.readBigInt64BE(0)) / 1000) + EPOCH_MS;
}

/** A jsonb value: one version byte, then text. */
export function jsonbOf(bytes: Buffer): unknown {
  return JSON.parse(bytes.toString('utf8', 1));
}

/** A text[] of one dimension, without nulls. */
export function textArrayOf(bytes: Buffer): string[] {
  if (bytes.readInt32BE(0) === 0) return [];
  const count = bytes.readInt32BE(12);
  const texts: string[] = [];
  let at = 20;
  for (let index = 0; index < count; index++) {
    const length = bytes.readInt32BE(at);
    texts.push(bytes.toString('utf8', at + 4, at + 4 + length));
    at += 4 + length;
  }
  return texts;
}
