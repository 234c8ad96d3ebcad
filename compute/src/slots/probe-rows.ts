import type { Datatype } from '@hotloop/model/tensor.ts';
import type { WorkInput } from '../batching/work-input.ts';
import type { LoadedModel, TensorDescription } from '../runner/load-options.ts';
import { elementCount } from '../runner/tensor-layout.ts';
import { hasFraction } from './compare-golden.ts';
import { encodeValues } from './golden-values.ts';

const ROWS = 4;
/** Length of the pattern that made-up rows are taken from; each row starts one element later than the one before. */
const PERIOD = 1021;
/**
 * Floating point values come in two magnitudes: a dependence that vanishes among small values may show among large
 * ones.
 */
const SCALES = [1, 100];
/** The size used for a free dimension other than the first. */
export const FREE_DIMENSION = 1;

/** Different rows, each with the bytes of every input, and the inputs' descriptions. */
export interface ProbeRows {
  readonly inputs: readonly { readonly datatype: Datatype; readonly rowShape: readonly number[] }[];
  readonly rows: readonly (readonly Uint8Array[])[];
}

/**
 * Different rows of one shape from requests or examples: the most recent shape that has at least two. Returns no set
 * or one.
 */
export function realRows(real: readonly (readonly WorkInput[])[]): ProbeRows[] {
  const byShape = new Map<string, { inputs: ProbeRows['inputs']; rows: Uint8Array[][] }>();
  for (const inputs of real.toReversed()) {
    const count = inputs[0]?.shape[0] ?? 0;
    if (count === 0 || inputs.some((input) => input.shape[0] !== count)) continue;
    const described = inputs.map(({ datatype, shape }) => ({ datatype, rowShape: shape.slice(1) }));
    const key = JSON.stringify(described);
    const found = byShape.get(key) ?? { inputs: described, rows: [] };
    byShape.set(key, found);
    const split = inputs.map((input) => splitRows(input.datatype, input.contents, count));
    for (let row = 0; row < count && found.rows.length < ROWS; row++) {
      const values = split.map((rows) => rows[row] ?? new Uint8Array());
      if (!found.rows.some((other) => isSame(other, values))) found.rows.push(values);
    }
  }
  const enough = [...byShape.values()].find(({ rows }) => rows.length > 1);
  return enough ? [enough] : [];
}

/**
 * Rows of made-up values in every datatype. Integers may be ids or counts, so only 0 and 1 are used; texts are the
 * same digits.
 */
export function madeUpRows({ inputs }: LoadedModel): ProbeRows[] {
  const described = inputs.map(({ datatype, shape }) => ({
    datatype,
    rowShape: shape.slice(1).map((dimension) => (dimension === -1 ? FREE_DIMENSION : dimension)),
  }));
  const scales = inputs.some(({ datatype }) => hasFraction(datatype)) ? SCALES : [1];
  return scales.map((scale) => {
    const patterns = inputs.map((input) => patternOf(input, scale));
    const rows = Array.from({ length: ROWS }, (_, row) =>
      described.map(({ rowShape }, index) =>
        cutOut(patterns[index] ?? new Uint8Array(), row, elementCount(rowShape)),
      ),
    );
    return { inputs: described, rows };
  });
}

/** Splits contents into rows, which share their memory. Text elements have length prefixes. */
export function splitRows(datatype: Datatype, contents: Uint8Array, rows: number): Uint8Array[] {
  if (datatype === 'BYTES') return splitTextRows(contents, rows);
  const width = contents.length / rows;
  return Array.from({ length: rows }, (_, row) => contents.subarray(row * width, (row + 1) * width));
}

function splitTextRows(contents: Uint8Array, rows: number): Uint8Array[] {
  const view = new DataView(contents.buffer, contents.byteOffset, contents.byteLength);
  const starts: number[] = [];
  let at = 0;
  for (; at < contents.length; at += 4 + view.getUint32(at, true)) starts.push(at);
  const width = starts.length / rows;
  return Array.from({ length: rows }, (_, row) =>
    contents.subarray(starts[row * width] ?? at, starts[(row + 1) * width] ?? at),
  );
}

function isSame(row: readonly Uint8Array[], other: readonly Uint8Array[]): boolean {
  return row.every((bytes, index) => Buffer.compare(bytes, other[index] ?? new Uint8Array()) === 0);
}

function patternOf({ name, datatype }: TensorDescription, scale: number): Uint8Array {
  const elements = Array.from({ length: PERIOD }, (_, element) => {
    // Steps of the golden angle: consecutive values are far apart and of both signs.
    if (hasFraction(datatype)) return scale * Math.sin(element * 2.39996 + 1);
    const bit = parity(element);
    if (datatype === 'BYTES') return String(bit);
    return datatype === 'BOOL' ? bit === 1 : bit;
  });
  return encodeValues(name, datatype, elements);
}

/**
 * Parity of the set bits of a number: 0 1 1 0 1 0 0 1 ..., a sequence that never becomes periodic, so that rows
 * differ.
 */
function parity(value: number): number {
  let ones = 0;
  for (let rest = value; rest > 0; rest >>= 1) ones ^= rest & 1;
  return ones;
}

/** `count` elements from position `start` of the repeated pattern. All elements of a pattern have the same length. */
function cutOut(pattern: Uint8Array, start: number, count: number): Uint8Array {
  const width = pattern.length / PERIOD;
  const bytes = new Uint8Array(count * width);
  for (let at = 0, from = start * width; at < bytes.length; from = 0) {
    const piece = pattern.subarray(from, from + bytes.length - at);
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
