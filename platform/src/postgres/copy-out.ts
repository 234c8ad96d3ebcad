import { HotloopError } from '@hotloop/proto/errors.ts';
import type { PoolClient } from 'pg';
import { to } from 'pg-copy-streams';

/** Signature, flags and length of the header extension: 11, 4 and 4 bytes. */
const HEADER_BYTES = 19;

/** 1 January 2000, the epoch from which Postgres counts microseconds. */
const EPOCH_MS = Date.UTC(2000, 0, 1);

const HEX = Uint16Array.from({ length: 256 }, (_, byte) => {
  const digits = byte.toString(16).padStart(2, '0');
  return digits.charCodeAt(0) | (digits.charCodeAt(1) << 8);
});
/** Places of the 16 bytes of a uuid in its text. */
const UUID_PLACES = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/**
 * The row that is being decoded, in Postgres' binary format. One object for all rows, which decodes fields without making objects of
 * them: valid until `decode` returns. Fields are numbered from 0; reading one that is NULL is a mistake of the caller.
 */
export class BinaryRow {
  #bytes: Buffer = Buffer.alloc(0);
  readonly #starts: number[] = [];
  readonly #lengths: number[] = [];
  readonly #uuid = Buffer.from('00000000-0000-0000-0000-000000000000', 'latin1');

  /** Takes the row that starts at `at`. Returns where the next one starts; `at` where it is not complete; -1 at the end of all rows. */
  take(bytes: Buffer, at: number): number {
    if (at + 2 > bytes.length) return at;
    const fields = bytes.readInt16BE(at);
    if (fields === -1) return -1;
    let place = at + 2;
    for (let field = 0; field < fields; field++) {
      if (place + 4 > bytes.length) return at;
      const length = bytes.readInt32BE(place);
      place += 4;
      if (length > 0 && place + length > bytes.length) return at;
      this.#starts[field] = place;
      this.#lengths[field] = length;
      if (length > 0) place += length;
    }
    this.#bytes = bytes;
    return place;
  }

  isNull(field: number): boolean {
    return this.#lengths[field]! < 0;
  }

  /** Bytes of a field; -1 for NULL. */
  length(field: number): number {
    return this.#lengths[field]!;
  }

  integer(field: number): number {
    return this.#bytes.readInt32BE(this.#starts[field]!);
  }

  /** A bigint as a number: exact up to 2^53. */
  bigint(field: number): number {
    const at = this.#starts[field]!;
    return this.#bytes.readInt32BE(at) * 2 ** 32 + this.#bytes.readUInt32BE(at + 4);
  }

  /** A timestamptz as milliseconds since 1970, rounded. */
  timestampMs(field: number): number {
    return Math.round(this.bigint(field) / 1000) + EPOCH_MS;
  }

  text(field: number): string {
    const at = this.#starts[field]!;
    return this.#bytes.toString('utf8', at, at + this.#lengths[field]!);
  }

  uuid(field: number): string {
    const [at, text] = [this.#starts[field]!, this.#uuid];
    for (let byte = 0; byte < 16; byte++) {
      const digits = HEX[this.#bytes[at + byte]!]!;
      const place = UUID_PLACES[byte]!;
      text[place] = digits & 0xff;
      text[place + 1] = digits >> 8;
    }
    return text.toString('latin1', 0, 36);
  }

  /** A jsonb value: one version byte, then text. */
  json(field: number): unknown {
    const at = this.#starts[field]!;
    return JSON.parse(this.#bytes.toString('utf8', at + 1, at + this.#lengths[field]!));
  }

  /** A jsonb object; an empty one is not parsed. */
  record<T>(field: number): Readonly<Record<string, T>> {
    return this.#lengths[field]! <= 3 ? {} : (this.json(field) as Record<string, T>);
  }

  /** A text[] of one dimension, without nulls. */
  texts(field: number): string[] {
    const bytes = this.#bytes;
    let at = this.#starts[field]!;
    if (bytes.readInt32BE(at) === 0) return [];
    const count = bytes.readInt32BE(at + 12);
    const texts: string[] = [];
    at += 20;
    for (let index = 0; index < count; index++) {
      const end = at + 4 + bytes.readInt32BE(at);
      texts.push(bytes.toString('utf8', at + 4, end));
      at = end;
    }
    return texts;
  }

  /** A copy of a field, in memory of its own. */
  copy(field: number): Uint8Array<ArrayBuffer> {
    const at = this.#starts[field]!;
    const copied = new Uint8Array(this.#lengths[field]!);
    copied.set(this.#bytes.subarray(at, at + copied.length));
    return copied;
  }
}

/**
 * Reads the rows of a SELECT through binary COPY: several times faster than as text, and in bounded memory, because
 * Postgres waits for the reader. `select` has no parameters; quote values in it with `client.escapeLiteral`. Yields
 * what `decode` makes of the rows of each chunk. Rejects with Postgres' own error.
 */
export async function* copyOut<T>(
  client: PoolClient,
  select: string,
  decode: (row: BinaryRow) => T,
): AsyncGenerator<T[]> {
  const stream = client.query(to(`COPY (${select}) TO STDOUT (FORMAT binary)`));
  const row = new BinaryRow();
  let rest: Buffer = Buffer.alloc(0);
  let isFirst = true;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    if (isFirst) {
      if (bytes.length < HEADER_BYTES) {
        rest = bytes;
        continue;
      }
      at = HEADER_BYTES + bytes.readInt32BE(HEADER_BYTES - 4);
      isFirst = false;
    }
    const rows: T[] = [];
    for (let next = row.take(bytes, at); next !== at; next = row.take(bytes, at)) {
      if (next < 0) {
        at = bytes.length;
        break;
      }
      rows.push(decode(row));
      at = next;
    }
    rest = bytes.subarray(at);
    if (rows.length > 0) yield rows;
  }
  if (rest.length !== 0) throw new HotloopError('DATA_LOSS', 'the rows of a query were cut short');
}
