import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Tensor } from '../tensor.ts';

/**
 * The numbers of an output tensor, row major, as float64. Throws INVALID_ARGUMENT for text, for bytes that do not
 * fill the shape, and for non-finite values, because no decision may be based on one.
 */
export function outputNumbers(tensor: Tensor): Float64Array {
  const count = tensor.shape.reduce((product, size) => product * size, 1);
  const read = READERS[tensor.datatype];
  if (!read) throw unfit(tensor, `has datatype ${tensor.datatype}, not numbers`);
  if (tensor.contents.length !== count * read.bytes)
    throw unfit(tensor, `has ${tensor.contents.length} bytes where its shape needs ${count * read.bytes}`);
  const { buffer, byteOffset, byteLength } = tensor.contents;
  const view = new DataView(buffer, byteOffset, byteLength);
  const numbers = new Float64Array(count);
  for (let index = 0; index < count; index++) {
    const value = read.at(view, index * read.bytes);
    if (!Number.isFinite(value)) throw unfit(tensor, 'contains a number that is not finite');
    numbers[index] = value;
  }
  return numbers;
}

interface Reader {
  readonly bytes: number;
  at(view: DataView, offset: number): number;
}

const READERS: Partial<Record<Tensor['datatype'], Reader>> = {
  BOOL: { bytes: 1, at: (view, offset) => view.getUint8(offset) },
  UINT8: { bytes: 1, at: (view, offset) => view.getUint8(offset) },
  INT8: { bytes: 1, at: (view, offset) => view.getInt8(offset) },
  UINT16: { bytes: 2, at: (view, offset) => view.getUint16(offset, true) },
  INT16: { bytes: 2, at: (view, offset) => view.getInt16(offset, true) },
  UINT32: { bytes: 4, at: (view, offset) => view.getUint32(offset, true) },
  INT32: { bytes: 4, at: (view, offset) => view.getInt32(offset, true) },
  UINT64: { bytes: 8, at: (view, offset) => Number(view.getBigUint64(offset, true)) },
  INT64: { bytes: 8, at: (view, offset) => Number(view.getBigInt64(offset, true)) },
  FP16: { bytes: 2, at: (view, offset) => halfPrecision(view.getUint16(offset, true)) },
  BF16: { bytes: 2, at: (view, offset) => upperHalf(view.getUint16(offset, true)) },
  FP32: { bytes: 4, at: (view, offset) => view.getFloat32(offset, true) },
  FP64: { bytes: 8, at: (view, offset) => view.getFloat64(offset, true) },
};

/** IEEE 754 binary16: 1 sign bit, 5 exponent bits (bias 15), 10 fraction bits. */
function halfPrecision(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** bfloat16 is the upper half of a float32. */
function upperHalf(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, bits << 16);
  return view.getFloat32(0);
}

export function unfit(tensor: Tensor, problem: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `output ${tensor.name} ${problem}`, {
    reason: 'output_does_not_fit',
  });
}
