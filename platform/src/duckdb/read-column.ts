import {
  DuckDBBooleanVector,
  DuckDBDoubleVector,
  DuckDBFloatVector,
  DuckDBIntegerVector,
  DuckDBTinyIntVector,
  DuckDBVarCharVector,
  type DuckDBVector,
} from '@duckdb/node-api';
import { HotloopError } from '@hotloop/proto/errors.ts';

/**
 * A text column as distinct values: the texts, and for each row the index of its text. null is NULL. A text may occur
 * more than once.
 */
export interface DistinctTexts {
  readonly texts: readonly (string | null)[];
  readonly rows: Int32Array;
}

/** A column with one value per row. */
export type PlainColumn = ArrayLike<number | string | boolean | null>;

/** The column of a parameter with any type other than `distinct-texts`. */
export function plainColumn(column: PlainColumn | DistinctTexts | undefined): PlainColumn {
  if (column === undefined || 'texts' in column)
    throw new HotloopError('INTERNAL', 'a function was given a column that it did not declare');
  return column;
}

/** Represents NULL in an Int8Array. */
export const NULL_INT8 = -128;

/**
 * The values of a column, copied, because the memory belongs to the database. Numbers are typed arrays in which NULL
 * is NaN; flags and small integers are an Int8Array in which NULL is NULL_INT8. The library itself only reads value
 * by value, with a bigint for each validity check.
 */
export function readColumn(type: string, vector: DuckDBVector, rows: number): PlainColumn | DistinctTexts {
  if (vector instanceof DuckDBDoubleVector || vector instanceof DuckDBFloatVector)
    return readNumbers(vector, rows);
  if (vector instanceof DuckDBBooleanVector || vector instanceof DuckDBTinyIntVector)
    return readSmall(vector, rows);
  if (vector instanceof DuckDBIntegerVector)
    return (vector as unknown as { readonly items: Int32Array }).items.slice(0, rows);
  if (type === 'distinct-texts' && vector instanceof DuckDBVarCharVector) return readTexts(vector, rows);
  const values = new Array<number | string | boolean | null>(rows);
  for (let row = 0; row < rows; row++) values[row] = vector.getItem(row) as number | string | boolean | null;
  return values;
}

function readNumbers(vector: DuckDBDoubleVector | DuckDBFloatVector, rows: number) {
  const { items } = vector as unknown as { readonly items: Float64Array | Float32Array };
  const numbers = items.slice(0, rows);
  const isNull = nullsOf(vector);
  if (isNull !== undefined) for (let row = 0; row < rows; row++) if (isNull(row)) numbers[row] = Number.NaN;
  return numbers;
}

function readSmall(vector: DuckDBBooleanVector | DuckDBTinyIntVector, rows: number): Int8Array {
  const { items, dataView } = vector as unknown as {
    readonly items?: Int8Array;
    readonly dataView: DataView;
  };
  const bytes = items ?? new Int8Array(dataView.buffer, dataView.byteOffset, rows);
  const numbers = bytes.slice(0, rows);
  const isNull = nullsOf(vector);
  if (isNull !== undefined) for (let row = 0; row < rows; row++) if (isNull(row)) numbers[row] = NULL_INT8;
  return numbers;
}

/**
 * Each string_t has 16 bytes: short texts are stored inline, longer ones as length, prefix and pointer. Rows with the
 * same 16 bytes have the same text, which is decoded once; in columns that are dictionary-encoded in their file,
 * equal texts share one copy.
 */
function readTexts(vector: DuckDBVarCharVector, rows: number): DistinctTexts {
  const { dataView } = vector as unknown as { readonly dataView: DataView };
  const words = new Int32Array(dataView.buffer, dataView.byteOffset, rows * 4);
  const bits = Math.max(1, Math.ceil(Math.log2(rows * 2)));
  const slots = new Int32Array(2 ** bits);
  const last = slots.length - 1;
  const texts: (string | null)[] = [];
  const firstRows: number[] = [];
  const found = new Int32Array(rows);
  const isNull = nullsOf(vector);
  let nullAt = -1;
  for (let row = 0; row < rows; row++) {
    if (isNull?.(row)) {
      if (nullAt < 0) {
        nullAt = texts.push(null) - 1;
        firstRows.push(row);
      }
      found[row] = nullAt;
      continue;
    }
    const at = row * 4;
    const mixed =
      Math.imul(words[at]! ^ words[at + 2]!, 0x9e3779b1) ^
      Math.imul(words[at + 1]! ^ words[at + 3]!, 0x85ebca6b);
    let slot = mixed >>> (32 - bits);
    let entry = slots[slot]!;
    while (entry !== 0 && !isSame(words, firstRows[entry - 1]! * 4, at)) {
      slot = (slot + 1) & last;
      entry = slots[slot]!;
    }
    if (entry === 0) {
      entry = texts.push(vector.getItem(row));
      firstRows.push(row);
      slots[slot] = entry;
    }
    found[row] = entry - 1;
  }
  return { texts, rows: found };
}

function isSame(words: Int32Array, a: number, b: number): boolean {
  return (
    words[a] === words[b] &&
    words[a + 1] === words[b + 1] &&
    words[a + 2] === words[b + 2] &&
    words[a + 3] === words[b + 3]
  );
}

/** Returns a function that says whether a row is NULL; undefined when no row is. */
function nullsOf(vector: DuckDBVector): ((row: number) => boolean) | undefined {
  const { data, offset } = (
    vector as unknown as {
      readonly validity: { readonly data: BigUint64Array | null; readonly offset: number };
    }
  ).validity;
  if (data === null) return undefined;
  const bits = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return (row) => ((bits[(offset + row) >> 3]! >> ((offset + row) & 7)) & 1) === 0;
}
