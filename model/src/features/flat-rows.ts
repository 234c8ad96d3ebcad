import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Columns } from '../manifest/columns.ts';
import type { Datatype, Tensor } from '../tensor.ts';
import type { Dtype } from './feature-schema.ts';

/**
 * One ONNX input within a flat row, which contains the cells of all inputs, one input after another, each a float32.
 */
export interface RowInput {
  /** Null: the model's only input. */
  readonly name: string | null;
  /** A text is represented by its index in a `TextTable`. */
  readonly dtype: Dtype;
  /** Cells per row. */
  readonly width: number;
  /** Shape of one row, without the row dimension. */
  readonly shape: readonly number[];
}

/** The inputs that a manifest's features feed, in the order of `columnsOf`. */
export function rowInputs({ inputs }: Columns, input: string | undefined): RowInput[] {
  return inputs.map(({ name, dtype, width, shape }) => ({
    ...{ name: name ?? input ?? null, dtype, width, shape: shape ?? [width] },
  }));
}

const MOST_TEXTS = 1_000_000;

/** Distinct texts, numbered from 0. */
export class TextTable {
  readonly texts: string[] = [];
  readonly #places = new Map<string, number>();

  /**
   * Throws RESOURCE_EXHAUSTED for more than a million: that is free text, from which a model cannot learn without
   * encoding.
   */
  placeOf(text: string): number {
    let place = this.#places.get(text);
    if (place === undefined) {
      if (this.texts.length === MOST_TEXTS)
        throw new HotloopError(
          'RESOURCE_EXHAUSTED',
          `the text inputs have more than ${MOST_TEXTS} different values; encode them with id, hash or text`,
          { reason: 'too_many_texts' },
        );
      place = this.texts.push(text) - 1;
      this.#places.set(text, place);
    }
    return place;
  }
}

/** The inputs of one prediction: a float32 matrix, or, when `columns` is 0, tensors. */
export interface ServedInputs {
  readonly rows: number;
  readonly columns: number;
  readonly features: Uint8Array;
  readonly tensors: readonly Tensor[];
}

/**
 * The inputs of a prediction as flat rows, float32[rows * width of all inputs]. Null for other inputs than the given
 * ones, and for integers that float32 cannot represent exactly (indices of embeddings with more than 2^24 rows).
 */
export function flatRows(
  inputs: readonly RowInput[],
  served: ServedInputs,
  texts: TextTable,
): Float32Array | null {
  const { rows, columns, features, tensors } = served;
  const width = inputs.reduce((sum, input) => sum + input.width, 0);
  if (columns > 0) {
    if (inputs.length !== 1 || inputs[0]?.dtype !== 'float32' || columns !== width) return null;
    if (features.length !== rows * width * 4) return null;
    return new Float32Array(new Uint8Array(features).buffer);
  }
  const flat = new Float32Array(rows * width);
  let start = 0;
  for (const input of inputs) {
    const tensor = inputs.length === 1 ? tensors[0] : tensors.find(({ name }) => name === input.name);
    const cells = tensor && cellsOf(tensor, texts);
    if (!cells || cells.length !== rows * input.width) return null;
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < input.width; column++) {
        const value = cells[row * input.width + column]!;
        const at = row * width + start + column;
        flat[at] = value;
        if (isExact(tensor.datatype) && flat[at] !== value) return null;
      }
    start += input.width;
  }
  return flat;
}

/** Floating point values may be rounded; integers must be exact. */
function isExact(datatype: Datatype): boolean {
  return datatype !== 'FP64' && datatype !== 'FP32';
}

function cellsOf({ datatype, contents }: Tensor, texts: TextTable): ArrayLike<number> | null {
  // A copy, because a view into a larger buffer may not be aligned.
  const bytes = () => new Uint8Array(contents).buffer;
  switch (datatype) {
    case 'FP32':
      return new Float32Array(bytes());
    case 'FP64':
      return new Float64Array(bytes());
    case 'INT32':
      return new Int32Array(bytes());
    case 'INT64':
      return Float64Array.from(new BigInt64Array(bytes()), Number);
    case 'BOOL':
      return new Uint8Array(contents);
    case 'BYTES':
      return textsOf(contents).map((text) => texts.placeOf(text));
    default:
      return null;
  }
}

function textsOf(contents: Uint8Array): string[] {
  const buffer = Buffer.from(contents.buffer, contents.byteOffset, contents.byteLength);
  const texts: string[] = [];
  for (let at = 0; at + 4 <= buffer.length; ) {
    const end = at + 4 + buffer.readUInt32LE(at);
    texts.push(buffer.toString('utf8', at + 4, end));
    at = end;
  }
  return texts;
}

/** The log's description of inputs that are not a matrix: `prediction.input_spec`. */
export type InputSpec = readonly (Pick<Tensor, 'name' | 'datatype' | 'shape'> & {
  readonly hidden?: boolean;
})[];

const CELL_BYTES: Partial<Record<Datatype, number>> = { FP32: 4, FP64: 8, INT32: 4, INT64: 8, BOOL: 1 };

/**
 * Splits the logged, concatenated contents into tensors. Null when the bytes do not fit, or for types that features
 * never have.
 */
export function loggedTensors(spec: InputSpec, contents: Uint8Array): Tensor[] | null {
  const buffer = Buffer.from(contents.buffer, contents.byteOffset, contents.byteLength);
  const tensors: Tensor[] = [];
  let at = 0;
  for (const { name, datatype, shape, hidden } of spec) {
    if (hidden) continue;
    const cells = shape.reduce((product, size) => product * size, 1);
    let end = at + cells * (CELL_BYTES[datatype] ?? 0);
    if (datatype === 'BYTES')
      for (let cell = 0; cell < cells; cell++) {
        if (end + 4 > buffer.length) return null;
        end += 4 + buffer.readUInt32LE(end);
      }
    else if (CELL_BYTES[datatype] === undefined) return null;
    if (end > buffer.length) return null;
    tensors.push({ name, datatype, shape, contents: contents.subarray(at, end) });
    at = end;
  }
  return at === buffer.length ? tensors : null;
}

/** The inputs of one row of the prediction log. */
export interface LoggedInputs {
  readonly rows: number;
  readonly columns: number;
  readonly features: Uint8Array | null;
  readonly input_spec: InputSpec;
}

/** The served inputs as returned by `flatRows`; null when the log does not contain them, or not in this form. */
export function loggedRows(
  inputs: readonly RowInput[],
  { rows, columns, features, input_spec }: LoggedInputs,
  texts: TextTable,
): Float32Array | null {
  if (features === null) return null;
  const tensors = columns > 0 ? [] : loggedTensors(input_spec, features);
  return tensors && flatRows(inputs, { rows, columns, features, tensors }, texts);
}
