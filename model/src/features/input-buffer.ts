import type { Datatype } from '../tensor.ts';
import type { Encoder } from './encoder.ts';
import type { Dtype } from './feature-schema.ts';
import type { Stage } from './transforms/transform-kind.ts';

/** As named in the Open Inference Protocol. */
export const DATATYPE_OF: Readonly<Record<Dtype, Datatype>> = {
  float32: 'FP32',
  float64: 'FP64',
  int64: 'INT64',
  int32: 'INT32',
  bool: 'BOOL',
  string: 'BYTES',
};

/** Smallest magnitude that rounds to infinity in float32. */
const FLOAT32_LIMIT = 3.4028235677973366e38;

/**
 * The cells of one ONNX input for one prediction, rows x width. It is sent with the prediction, so each prediction
 * has its own.
 */
export class InputBuffer {
  readonly dtype: Dtype;
  readonly rows: number;
  readonly width: number;
  readonly floats: Float32Array;
  readonly #doubles: Float64Array | undefined;
  /** int64 as pairs of 32-bit halves, low first: a BigInt per cell would be garbage. */
  readonly #integers: Int32Array | undefined;
  readonly #flags: Uint8Array | undefined;
  readonly #texts: string[] | undefined;

  constructor(dtype: Dtype, rows: number, width: number) {
    const cells = rows * width;
    this.dtype = dtype;
    this.rows = rows;
    this.width = width;
    this.floats = dtype === 'float32' ? new Float32Array(cells) : NO_FLOATS;
    this.#doubles = dtype === 'float64' ? new Float64Array(cells) : undefined;
    this.#integers =
      dtype === 'int64' || dtype === 'int32'
        ? new Int32Array(cells * (dtype === 'int64' ? 2 : 1))
        : undefined;
    this.#flags = dtype === 'bool' ? new Uint8Array(cells) : undefined;
    this.#texts = dtype === 'string' ? new Array<string>(cells).fill('') : undefined;
  }

  /**
   * Writes value `index` from cell `at`. Returns false when the type cannot represent it; NaN is only accepted with
   * `takesNaN`.
   */
  write(
    { stages, leaves }: Encoder,
    raw: readonly unknown[],
    numbers: Float64Array,
    index: number,
    at: number,
    takesNaN: boolean,
  ): boolean {
    if (leaves === 'columns') {
      const last = stages[stages.length - 1] as Extract<Stage, { stage: 'columns' }>;
      return last.write(raw, numbers, index, this.floats, at);
    }
    if (this.#texts) {
      this.#texts[at] = raw[index] as string;
      return true;
    }
    return this.writeNumber(numbers[index] as number, at, takesNaN);
  }

  writeNumber(number: number, at: number, takesNaN: boolean): boolean {
    switch (this.dtype) {
      case 'float32':
        this.floats[at] = number;
        // Written as a comparison so that NaN fails it too.
        return Math.abs(number) < FLOAT32_LIMIT || (takesNaN && Number.isNaN(number));
      case 'float64':
        (this.#doubles as Float64Array)[at] = number;
        return Number.isFinite(number) || (takesNaN && Number.isNaN(number));
      case 'int64': {
        const integers = this.#integers as Int32Array;
        integers[2 * at] = number | 0;
        integers[2 * at + 1] = Math.floor(number / 2 ** 32);
        return Number.isSafeInteger(number);
      }
      case 'int32':
        (this.#integers as Int32Array)[at] = number;
        return (number | 0) === number;
      case 'bool':
        (this.#flags as Uint8Array)[at] = number === 0 ? 0 : 1;
        return number === 0 || number === 1;
      case 'string':
        return false;
    }
  }

  /** Copies `width` cells of the first row, from column `offset`, into `rows` rows. */
  repeat(offset: number, width: number): void {
    const { rows, width: stride } = this;
    if (this.#texts) {
      for (let row = 1; row < rows; row++)
        for (let at = offset; at < offset + width; at++)
          this.#texts[row * stride + at] = this.#texts[at] ?? '';
      return;
    }
    const cells = this.#doubles ?? this.#flags ?? this.#integers ?? this.floats;
    const size = this.dtype === 'int64' ? 2 : 1;
    if (width * size === 1) {
      const value = cells[offset * size] as number;
      for (let row = 1; row < rows; row++) cells[row * stride * size + offset * size] = value;
      return;
    }
    for (let row = 1; row < rows; row++)
      cells.copyWithin((row * stride + offset) * size, offset * size, (offset + width) * size);
  }

  /** One cell in readable form. NaN is null. */
  cell(at: number): number | string | null {
    if (this.#texts) return this.#texts[at] ?? '';
    if (this.dtype === 'int64') {
      const integers = this.#integers as Int32Array;
      return (integers[2 * at + 1] as number) * 2 ** 32 + ((integers[2 * at] as number) >>> 0);
    }
    const value = (this.#doubles ?? this.#flags ?? this.#integers ?? this.floats)[at] as number;
    return Number.isNaN(value) ? null : value;
  }

  /** Little endian, as is every platform of Node 24; texts as uint32 length and UTF-8. */
  contents(): Uint8Array {
    if (this.#texts) return textContents(this.#texts);
    const cells = this.#doubles ?? this.#flags ?? this.#integers ?? this.floats;
    return new Uint8Array(cells.buffer, cells.byteOffset, cells.byteLength);
  }
}

const NO_FLOATS = new Float32Array(0);

function textContents(texts: readonly string[]): Uint8Array {
  let length = 0;
  for (const text of texts) length += 4 + Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  for (const text of texts) {
    const written = bytes.write(text, at + 4);
    bytes.writeUInt32LE(written, at);
    at += 4 + written;
  }
  return bytes;
}
