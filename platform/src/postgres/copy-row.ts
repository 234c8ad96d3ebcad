/** Milliseconds from 1970 to 2000, where Postgres starts counting. */
const POSTGRES_EPOCH_MS = Date.UTC(2000, 0, 1);
const TEXT_OID = 25;
const FEW_BYTES = 16;

const UUID_LENGTH = 36;
const DASH = 0x2d;
/** Value of each hexadecimal digit by its character code; for all other characters a value above 15. */
const DIGITS = Uint8Array.from({ length: 256 }, (_, code) => {
  const value = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(value) ? 0xff : value;
});

/** Start of a binary COPY: signature, flags, no header extension. */
export const COPY_HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
/** The end of a COPY stream. */
export const COPY_TRAILER = Buffer.from([0xff, 0xff]);

/**
 * Writes rows in Postgres' binary COPY format: a 16-bit field count, then for each field a 32-bit length (-1 for
 * NULL) and its bytes. Its buffer grows and never shrinks; one writer serves one thread of appends. NUL, which
 * Postgres cannot store, is replaced in text. The calls must match the columns in order and type.
 */
export class CopyRow {
  readonly #characters = Buffer.alloc(UUID_LENGTH);
  #buffer: Buffer;
  #at = 0;
  #row = 0;
  #fields = 0;

  constructor(capacity = 256 * 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity);
  }

  /** Bytes written since the last reset. */
  get length(): number {
    return this.#at;
  }

  /** The written bytes; the memory is shared and valid until the next write or reset. */
  bytes(from = 0, to = this.#at): Buffer {
    return this.#buffer.subarray(from, to);
  }

  reset(length = 0): void {
    this.#at = length;
  }

  /** Reserves room for a value that is written later, such as a checksum. Returns its offset. */
  reserve(bytes: number): number {
    this.#ensure(bytes);
    const at = this.#at;
    this.#at += bytes;
    return at;
  }

  patchUint32LE(value: number, at: number): void {
    this.#buffer.writeUInt32LE(value, at);
  }

  begin(): void {
    this.#ensure(2);
    this.#row = this.#at;
    this.#fields = 0;
    this.#at += 2;
  }

  /** Ends the row. Throws when it does not have as many fields as the table has columns. */
  end(columns: number): void {
    if (this.#fields !== columns)
      throw new RangeError(`the row has ${this.#fields} fields, its table ${columns} columns`);
    this.#buffer.writeInt16BE(columns, this.#row);
  }

  /** Appends already encoded fields; `fields` is their number. */
  copied(bytes: Uint8Array, fields: number): void {
    this.#ensure(bytes.length);
    this.#fields += fields;
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  nothing(): void {
    this.#ensure(4);
    this.#fields++;
    this.#int32(-1);
  }

  /** Accepts the text form with four dashes. Throws RangeError for anything else. */
  uuid(text: string): void {
    this.#start(20, 16);
    // Works on bytes, because looking at each character of a string costs three times as much. In UTF-8, bytes of
    // other characters are never hexadecimal digits.
    const characters = this.#characters;
    let wrong = text.length ^ UUID_LENGTH;
    wrong |= characters.write(text, 'utf8') ^ UUID_LENGTH;
    let at = this.#at;
    for (let place = 0; place < UUID_LENGTH; place += 2) {
      if (place === 8 || place === 13 || place === 18 || place === 23) wrong |= characters[place++]! ^ DASH;
      const high = DIGITS[characters[place]!]!;
      const low = DIGITS[characters[place + 1]!]!;
      wrong |= (high | low) & 0xf0;
      this.#buffer[at++] = (high << 4) | low;
    }
    if (wrong !== 0) throw new RangeError('not a UUID');
    this.#at = at;
  }

  timestamp(ms: number): void {
    this.#start(12, 8);
    const microseconds = Math.round((ms - POSTGRES_EPOCH_MS) * 1000);
    // Two halves, because a BigInt would be an allocation.
    const high = Math.floor(microseconds / 2 ** 32);
    this.#int32(high);
    this.#int32(microseconds - high * 2 ** 32);
  }

  int4(value: number): void {
    this.#start(8, 4);
    this.#int32(value);
  }

  int8(value: number): void {
    this.#start(12, 8);
    this.#buffer.writeBigInt64BE(BigInt(value), this.#at);
    this.#at += 8;
  }

  float8(value: number): void {
    this.#start(12, 8);
    this.#at = this.#buffer.writeDoubleBE(value, this.#at);
  }

  text(value: string): void {
    this.#fields++;
    this.#string(clean(value));
  }

  bytea(value: Uint8Array): void {
    this.#start(4 + value.length, value.length);
    this.#bytes(value);
  }

  /** Several pieces as one bytea. */
  byteaOf(pieces: readonly Uint8Array[]): void {
    let length = 0;
    for (const piece of pieces) length += piece.length;
    this.#start(4 + length, length);
    for (const piece of pieces) this.#bytes(piece);
  }

  /** A jsonb value, given as written by JSON.stringify. */
  json(text: string): void {
    this.#fields++;
    const safe = text.includes('\\u') ? text.replaceAll(REFUSED_ESCAPE, '$1\\ufffd') : text;
    this.#ensure(5 + safe.length * 3);
    const start = this.#at;
    this.#buffer[start + 4] = 1;
    const written = this.#buffer.write(safe, start + 5, 'utf8');
    this.#buffer.writeInt32BE(written + 1, start);
    this.#at = start + 5 + written;
  }

  textArray(values: readonly string[]): void {
    const start = this.reserve(4);
    this.#fields++;
    this.#ensure(20);
    this.#int32(values.length === 0 ? 0 : 1);
    this.#int32(0);
    this.#int32(TEXT_OID);
    if (values.length > 0) {
      this.#int32(values.length);
      this.#int32(1);
      for (const value of values) this.#string(clean(value));
    }
    this.#buffer.writeInt32BE(this.#at - start - 4, start);
  }

  #string(value: string): void {
    this.#ensure(4 + value.length * 3);
    const start = this.#at;
    const written = this.#buffer.write(value, start + 4, 'utf8');
    this.#buffer.writeInt32BE(written, start);
    this.#at = start + 4 + written;
  }

  #start(capacity: number, length: number): void {
    this.#ensure(capacity);
    this.#fields++;
    this.#int32(length);
  }

  /** Copies byte by byte if short: a call that copies costs as much as some twenty bytes. */
  #bytes(value: Uint8Array): void {
    const at = this.#at;
    if (value.length > FEW_BYTES) this.#buffer.set(value, at);
    else for (let index = 0; index < value.length; index++) this.#buffer[at + index] = value[index]!;
    this.#at = at + value.length;
  }

  #int32(value: number): void {
    const buffer = this.#buffer;
    const at = this.#at;
    buffer[at] = value >>> 24;
    buffer[at + 1] = value >>> 16;
    buffer[at + 2] = value >>> 8;
    buffer[at + 3] = value;
    this.#at = at + 4;
  }

  #ensure(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = larger;
  }
}

/**
 * Escapes that Postgres rejects inside jsonb: NUL, and unpaired surrogates (the only ones that JSON.stringify
 * escapes). They become the replacement character.
 */
const REFUSED_ESCAPE = /(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][0-9a-f]{2})/g;

function clean(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text;
}
