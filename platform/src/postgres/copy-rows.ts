/**
 * Rows in Postgres' binary COPY format, consecutive in one piece of memory. One object per row would cost more than
 * the rows.
 */
export class CopyRows {
  readonly #bytes: Buffer;
  /** End offset of each row in the bytes. */
  readonly #ends: Uint32Array;
  readonly #from: number;
  readonly #to: number;

  constructor(bytes: Buffer, ends: Uint32Array, from = 0, to = ends.length) {
    this.#bytes = bytes;
    this.#ends = ends;
    this.#from = from;
    this.#to = to;
  }

  get length(): number {
    return this.#to - this.#from;
  }

  /** All rows; the memory is shared. */
  bytes(): Buffer {
    return this.#bytes.subarray(this.#endBefore(this.#from), this.#endBefore(this.#to));
  }

  /** One row; the memory is shared. */
  at(index: number): Buffer {
    const row = this.#from + index;
    return this.#bytes.subarray(this.#endBefore(row), this.#endBefore(row + 1));
  }

  /**
   * Time in the row's key, a UUIDv7, in milliseconds since 1970. The key is the first field, after count and length.
   */
  keyTimeMs(index: number): number {
    return this.#bytes.readUIntBE(this.#endBefore(this.#from + index) + 6, 6);
  }

  slice(from: number, to = this.length): CopyRows {
    return new CopyRows(this.#bytes, this.#ends, this.#from + from, this.#from + to);
  }

  #endBefore(row: number): number {
    return row === 0 ? 0 : (this.#ends[row - 1] ?? 0);
  }

  /**
   * How many rows have each value of a text field, given by its index. Consecutive rows usually have the same value.
   */
  countTexts(field: number): Map<string, number> {
    const counts = new Map<string, number>();
    let last: Buffer | undefined;
    let text = '';
    for (let index = 0; index < this.length; index++) {
      const value = this.#field(index, field);
      if (!last?.equals(value)) text = value.toString('utf8');
      last = value;
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    return counts;
  }

  /** A row is the number of its fields (int16), then each field's length (int32, -1 for null) and bytes. */
  #field(index: number, field: number): Buffer {
    let at = this.#endBefore(this.#from + index) + 2;
    for (let before = 0; before < field; before++) at += 4 + Math.max(0, this.#bytes.readInt32BE(at));
    return this.#bytes.subarray(at + 4, at + 4 + Math.max(0, this.#bytes.readInt32BE(at)));
  }
}
