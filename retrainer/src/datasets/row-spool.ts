import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { TextTable } from '@hotloop/model/features/flat-rows.ts';

/** A labelled row with its vector. */
export interface SpooledRow {
  readonly predictionId: string;
  readonly row: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly label: number;
  readonly weight: number;
  /** Who gave the label; empty for the default label. */
  readonly source: string;
  readonly version: number;
  /** Value by which entities are divided. */
  readonly key: string;
}

const BUFFERED_BYTES = 4 * 1024 * 1024;
const FIRST_ROWS = 1024;

/**
 * Keeps rows until all are known and can be divided: what the division needs in memory, about 60 bytes a row and the texts; the
 * vectors in a file. Rows are read again in any order, vectors only forward.
 */
export class RowSpool implements AsyncDisposable {
  readonly columns: number;
  /** What the cells of text inputs are places of. */
  readonly texts = new TextTable();
  readonly #file: FileHandle;
  readonly #pending: Buffer;
  #pendingBytes = 0;
  #rows = 0;
  #dropped = 0;
  #ids: string[] = [];
  #keys: string[] = [];
  #numbers = new Float64Array(FIRST_ROWS * 5);
  readonly #sources = new Map<string, number>();
  readonly #sourceNames: string[] = [];

  private constructor(columns: number, file: FileHandle) {
    this.columns = columns;
    this.#file = file;
    this.#pending = Buffer.alloc(Math.max(BUFFERED_BYTES, columns * 4));
  }

  static async create(folder: string, columns: number): Promise<RowSpool> {
    return new RowSpool(columns, await open(join(folder, 'vectors.spool'), 'w+', 0o600));
  }

  get length(): number {
    return this.#rows;
  }

  /** Adds a row; its vector is copied. Returns what to wait for before the next one, null where nothing is. */
  append(row: SpooledRow, vector: Float32Array): Promise<void> | null {
    const bytes = this.columns * 4;
    this.#pending.set(new Uint8Array(vector.buffer, vector.byteOffset, bytes), this.#pendingBytes);
    this.#pendingBytes += bytes;
    if ((this.#rows + 1) * 5 > this.#numbers.length) {
      const larger = new Float64Array(this.#numbers.length * 2);
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    let source = this.#sources.get(row.source);
    if (source === undefined) {
      source = this.#sourceNames.push(row.source) - 1;
      this.#sources.set(row.source, source);
    }
    // Rows of one prediction share the text.
    const last = this.#ids[this.#rows - 1];
    const id = last === row.predictionId ? last : row.predictionId;
    this.#ids.push(id);
    this.#keys.push(row.key === id ? id : row.key);
    const at = this.#rows * 5;
    // Row and version share a number: both are far below 2^26.
    const numbers = this.#numbers;
    numbers[at] = row.at;
    numbers[at + 1] = row.label;
    numbers[at + 2] = row.weight;
    numbers[at + 3] = source;
    numbers[at + 4] = row.row * 2 ** 26 + row.version;
    this.#rows++;
    return this.#pendingBytes + bytes > this.#pending.length ? this.#flush() : null;
  }

  at(index: number): SpooledRow {
    const base = index * 5;
    const both = this.#numbers[base + 4]!;
    return {
      predictionId: this.#ids[index]!,
      key: this.#keys[index]!,
      at: this.#numbers[base]!,
      label: this.#numbers[base + 1]!,
      weight: this.#numbers[base + 2]!,
      source: this.#sourceNames[this.#numbers[base + 3]!]!,
      row: Math.floor(both / 2 ** 26),
      version: both % 2 ** 26,
    };
  }

  setWeight(index: number, weight: number): void {
    this.#numbers[index * 5 + 2] = weight;
  }

  predictionId(index: number): string {
    return this.#ids[index]!;
  }

  key(index: number): string {
    return this.#keys[index]!;
  }

  source(index: number): string {
    return this.#sourceNames[this.#numbers[index * 5 + 3]!]!;
  }

  time(index: number): number {
    return this.#numbers[index * 5]!;
  }

  /**
   * Drops the oldest rows until at most so many are left; never a part of a prediction. Nothing is appended after it. Returns how many
   * were dropped.
   */
  keepNewest(most: number): number {
    let first = Math.max(0, this.#rows - most);
    while (first > 0 && first < this.#rows && this.#ids[first] === this.#ids[first - 1]) first++;
    if (first === 0) return 0;
    this.#ids = this.#ids.slice(first);
    this.#keys = this.#keys.slice(first);
    this.#numbers = this.#numbers.subarray(first * 5);
    this.#dropped += first;
    this.#rows -= first;
    return first;
  }

  /** The vectors of rows from `from` to before `to`. */
  async vectors(from: number, to: number): Promise<Float32Array> {
    await this.#flush();
    const vectors = new Float32Array((to - from) * this.columns);
    const bytes = new Uint8Array(vectors.buffer);
    let filled = 0;
    while (filled < bytes.length) {
      const position = (this.#dropped + from) * this.columns * 4 + filled;
      const { bytesRead } = await this.#file.read(bytes, filled, bytes.length - filled, position);
      if (bytesRead === 0) throw new RangeError('the spool of vectors is shorter than its rows');
      filled += bytesRead;
    }
    return vectors;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    if (this.#pendingBytes === 0) return;
    const bytes = this.#pending.subarray(0, this.#pendingBytes);
    const position = (this.#dropped + this.#rows) * this.columns * 4 - this.#pendingBytes;
    for (let written = 0; written < bytes.length; )
      written += (await this.#file.write(bytes, written, bytes.length - written, position + written))
        .bytesWritten;
    this.#pendingBytes = 0;
  }
}
