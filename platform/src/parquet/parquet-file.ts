import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { HotloopError } from '@hotloop/proto/errors.ts';
import {
  decodeStruct,
  encodeStruct,
  type ReadStruct,
  type ThriftStruct,
  type ThriftValue,
} from './thrift.ts';

// A subset of Parquet that is fast to write, fast to read, and byte for byte the same for the same rows, so that a
// file can be named by its digest: flat, required columns, PLAIN encoding, Zstandard, one page per column and row
// group. Any Parquet reader can read it. Files from other writers are read with DuckDB. Format:
// https://parquet.apache.org/docs/file-format/

export type ParquetType = 'float' | 'int32' | 'timestamp' | 'text';

export interface ParquetColumn {
  readonly name: string;
  readonly type: ParquetType;
}

/** Values of one column in a row group: milliseconds since 1970 for a timestamp. */
export type ParquetValues = Float32Array | Int32Array | Float64Array | readonly string[];

const MAGIC = Buffer.from('PAR1');
const FOOTER_TAIL_BYTES = 8;
const MOST_FOOTER_BYTES = 256 * 1024 * 1024;
const PHYSICAL: Readonly<Record<ParquetType, number>> = { int32: 1, timestamp: 2, float: 4, text: 6 };
/** UTF8 and TIMESTAMP_MILLIS, the older names of the logical types, which every reader knows. */
const CONVERTED: Partial<Record<ParquetType, number>> = { text: 0, timestamp: 9 };

/** Zstandard codec, used at its fastest usual level: numeric features hardly compress better at higher levels. */
const ZSTD = 6;
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

interface Chunk {
  readonly offset: number;
  readonly bytes: number;
  /** Before compression. */
  readonly plainBytes: number;
}

/** Writes one file. `finish` must be called; disposal closes the file in any case. */
export class ParquetWriter implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #columns: readonly ParquetColumn[];
  readonly #hash = createHash('sha256');
  readonly #groups: { readonly rows: number; readonly chunks: readonly Chunk[] }[] = [];
  #at = 0;

  private constructor(file: FileHandle, columns: readonly ParquetColumn[]) {
    this.#file = file;
    this.#columns = columns;
  }

  static async create(path: string, columns: readonly ParquetColumn[]): Promise<ParquetWriter> {
    const writer = new ParquetWriter(await open(path, 'wx', 0o644), columns);
    await writer.#write(MAGIC);
    return writer;
  }

  /** Appends a row group: the values of each column, in the order of the columns, all of the same length. */
  async writeGroup(values: readonly ParquetValues[]): Promise<void> {
    const rows = values[0]?.length ?? 0;
    const chunks: Chunk[] = [];
    for (const [index, column] of this.#columns.entries()) {
      const own = values[index];
      if (own?.length !== rows) throw new RangeError(`column ${column.name} does not have ${rows} values`);
      const plain = encodePage(column.type, own);
      const page = zstdCompressSync(plain, LEVEL);
      const header = pageHeader(rows, plain.length, page.length);
      const plainBytes = header.length + plain.length;
      chunks.push({ offset: this.#at, bytes: header.length + page.length, plainBytes });
      await this.#write(header);
      await this.#write(page);
    }
    this.#groups.push({ rows, chunks });
  }

  /** Writes the footer. Returns the SHA-256 of the file, in hex, and its size. */
  async finish(metadata: Readonly<Record<string, string>> = {}): Promise<{ sha256: string; bytes: number }> {
    const footer = encodeStruct(footerOf(this.#columns, this.#groups, metadata));
    const tail = Buffer.alloc(FOOTER_TAIL_BYTES);
    tail.writeUInt32LE(footer.length, 0);
    MAGIC.copy(tail, 4);
    await this.#write(footer);
    await this.#write(tail);
    await this.#file.sync();
    return { sha256: this.#hash.digest('hex'), bytes: this.#at };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    for (let written = 0; written < bytes.length; )
      written += (await this.#file.write(bytes, written, bytes.length - written)).bytesWritten;
    this.#at += bytes.length;
  }
}

function encodePage(type: ParquetType, values: ParquetValues): Uint8Array {
  if (type === 'text') return encodeTexts(values as readonly string[]);
  if (type === 'timestamp') {
    const times = values as Float64Array;
    const whole = BigInt64Array.from({ length: times.length }, (_, index) =>
      BigInt(Math.round(times[index]!)),
    );
    return new Uint8Array(whole.buffer);
  }
  const numbers = values as Float32Array | Int32Array;
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

function encodeTexts(texts: readonly string[]): Uint8Array {
  const lengths = texts.map((text) => Buffer.byteLength(text));
  const bytes = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + 4 + length, 0));
  let at = 0;
  for (const [index, text] of texts.entries()) {
    bytes.writeUInt32LE(lengths[index]!, at);
    at += 4 + bytes.write(text, at + 4, 'utf8');
  }
  return bytes;
}

function pageHeader(rows: number, plainBytes: number, bytes: number): Buffer {
  const data: ThriftStruct = [
    [1, { i32: rows }],
    [2, { i32: 0 }],
    [3, { i32: 3 }],
    [4, { i32: 3 }],
  ];
  return encodeStruct([
    [1, { i32: 0 }],
    [2, { i32: plainBytes }],
    [3, { i32: bytes }],
    [5, { struct: data }],
  ]);
}

function footerOf(
  columns: readonly ParquetColumn[],
  groups: readonly { readonly rows: number; readonly chunks: readonly Chunk[] }[],
  metadata: Readonly<Record<string, string>>,
): ThriftStruct {
  const structs = (list: readonly ThriftStruct[]): ThriftValue => ({
    list: list.map((struct) => ({ struct })),
    of: 'struct',
  });
  const schema: ThriftStruct[] = [
    [
      [4, { text: 'rows' }],
      [5, { i32: columns.length }],
    ],
    ...columns.map(({ name, type }): ThriftStruct => {
      const converted = CONVERTED[type];
      return [
        [1, { i32: PHYSICAL[type] }],
        [3, { i32: 0 }],
        [4, { text: name }],
        ...(converted === undefined ? [] : ([[6, { i32: converted }]] as const)),
      ];
    }),
  ];
  const rowGroups = groups.map(
    ({ rows, chunks }): ThriftStruct => [
      [
        1,
        structs(
          chunks.map(({ offset, bytes, plainBytes }, index): ThriftStruct => {
            const column = columns[index]!;
            const chunk: ThriftStruct = [
              [1, { i32: PHYSICAL[column.type] }],
              [2, { list: [{ i32: 0 }, { i32: 3 }], of: 'i32' }],
              [3, { list: [{ text: column.name }], of: 'text' }],
              [4, { i32: ZSTD }],
              [5, { i64: rows }],
              [6, { i64: plainBytes }],
              [7, { i64: bytes }],
              [9, { i64: offset }],
            ];
            return [
              [2, { i64: offset }],
              [3, { struct: chunk }],
            ];
          }),
        ),
      ],
      [2, { i64: chunks.reduce((sum, { plainBytes }) => sum + plainBytes, 0) }],
      [3, { i64: rows }],
    ],
  );
  return [
    [1, { i32: 1 }],
    [2, structs(schema)],
    [3, { i64: groups.reduce((sum, { rows }) => sum + rows, 0) }],
    [4, structs(rowGroups)],
    [
      5,
      structs(
        Object.entries(metadata).map(
          ([key, value]): ThriftStruct => [
            [1, { text: key }],
            [2, { text: value }],
          ],
        ),
      ),
    ],
    [6, { text: 'hotloop' }],
  ];
}

interface Group {
  readonly rows: number;
  readonly offsets: readonly number[];
  /** Per column: 0 for none, 6 for Zstandard. */
  readonly codecs: readonly number[];
}

/** Reads files that ParquetWriter wrote, column by column. */
export class ParquetReader implements AsyncDisposable {
  readonly columns: readonly ParquetColumn[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly rows: number;
  /** Number of rows of each row group. */
  readonly groups: readonly number[];
  readonly #file: FileHandle;
  readonly #groups: readonly Group[];

  private constructor(file: FileHandle, footer: ReadStruct) {
    this.#file = file;
    this.columns = structsIn(footer, 2).slice(1).map(columnOf);
    this.metadata = Object.fromEntries(
      structsIn(footer, 5).map((pair) => [String(pair.get(1)), String(pair.get(2))]),
    );
    this.rows = Number(footer.get(3));
    this.#groups = structsIn(footer, 4).map((group) => ({
      rows: Number(group.get(3)),
      offsets: structsIn(group, 1).map((chunk) => Number((chunk.get(3) as ReadStruct).get(9))),
      codecs: structsIn(group, 1).map((chunk) => Number((chunk.get(3) as ReadStruct).get(4))),
    }));
    this.groups = this.#groups.map(({ rows }) => rows);
  }

  /** Throws DATA_LOSS for a file that ParquetWriter did not write, NOT_FOUND for a missing file. */
  static async open(path: string): Promise<ParquetReader> {
    const file = await open(path, 'r').catch((cause: unknown) => {
      throw new HotloopError('NOT_FOUND', 'the dataset is not in the store', { cause });
    });
    try {
      const { size } = await file.stat();
      const tail = await readAt(
        file,
        Math.max(0, size - FOOTER_TAIL_BYTES),
        Math.min(size, FOOTER_TAIL_BYTES),
      );
      const length = tail.length === FOOTER_TAIL_BYTES ? tail.readUInt32LE(0) : 0;
      if (!tail.subarray(4).equals(MAGIC) || length > Math.min(size, MOST_FOOTER_BYTES))
        throw new RangeError('it does not end as a Parquet file');
      const footer = await readAt(file, size - FOOTER_TAIL_BYTES - length, length);
      return new ParquetReader(file, decodeStruct(footer).value);
    } catch (cause) {
      await file.close();
      throw new HotloopError('DATA_LOSS', 'the dataset cannot be read: it is damaged', { cause });
    }
  }

  /** The values of one column in one row group: number columns as typed arrays, timestamps in milliseconds. */
  async read(group: number, column: number): Promise<ParquetValues> {
    const { rows, offsets, codecs } = this.#groups[group]!;
    const { type } = this.columns[column]!;
    const start = offsets[column]!;
    const head = await readAt(this.#file, start, 64);
    const { value, end } = decodeStruct(head);
    const stored = await readAt(this.#file, start + end, Number(value.get(3)));
    const page = codecs[column] === ZSTD ? expanded(stored, Number(value.get(2))) : stored;
    switch (type) {
      case 'float':
        return new Float32Array(page.buffer, 0, rows);
      case 'int32':
        return new Int32Array(page.buffer, 0, rows);
      case 'timestamp':
        return Float64Array.from(new BigInt64Array(page.buffer, 0, rows), Number);
      case 'text':
        return decodeTexts(page, rows);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/**
 * Decompresses into a separate buffer, so that typed arrays over it are aligned. Throws DATA_LOSS for damaged bytes.
 */
function expanded(stored: Buffer, length: number): Buffer {
  try {
    const plain = zstdDecompressSync(stored);
    if (plain.length !== length) throw new RangeError(`a page has ${plain.length} bytes, not ${length}`);
    const page = Buffer.from(new ArrayBuffer(length));
    plain.copy(page);
    return page;
  } catch (cause) {
    throw new HotloopError('DATA_LOSS', 'the dataset cannot be read: it is damaged', { cause });
  }
}

function decodeTexts(page: Buffer, rows: number): string[] {
  const texts: string[] = [];
  for (let at = 0; texts.length < rows; ) {
    const length = page.readUInt32LE(at);
    texts.push(page.toString('utf8', at + 4, at + 4 + length));
    at += 4 + length;
  }
  return texts;
}

function structsIn(struct: ReadStruct, field: number): ReadStruct[] {
  const list = struct.get(field);
  return Array.isArray(list) ? (list as ReadStruct[]) : [];
}

function columnOf(element: ReadStruct): ParquetColumn {
  const type = (Object.keys(PHYSICAL) as ParquetType[]).find((name) => PHYSICAL[name] === element.get(1));
  if (type === undefined) throw new RangeError('a column has a type that is not written here');
  return { name: String(element.get(4)), type };
}

/** Reads into a separate buffer, so that typed arrays over it are aligned. */
async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.from(new ArrayBuffer(length));
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
