import type { Datatype, Tensor } from '@hotloop/model/tensor.ts';

/** Bytes per element; 0 for BYTES, whose elements each have their own length. */
export const ELEMENT_BYTES: Readonly<Record<Datatype, number>> = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  BF16: 2,
  FP32: 4,
  FP64: 8,
  BYTES: 0,
};

export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const dimension of shape) count *= dimension;
  return count;
}

/**
 * Index of the first element of a tensor that is NaN or infinite; -1 when there is none, as for integers and text.
 * Only looks at exponent bits, so the bytes need not be aligned.
 */
export function firstNonFinite(tensor: Pick<Tensor, 'datatype' | 'contents'>): number {
  const { contents } = tensor;
  switch (tensor.datatype) {
    case 'FP32':
      return firstFullExponent(contents, 4, 0x80, 0x7f);
    case 'BF16':
      return firstFullExponent(contents, 2, 0x80, 0x7f);
    case 'FP64':
      return firstFullExponent(contents, 8, 0xf0, 0x7f);
    case 'FP16':
      return firstFullExponentOfHalf(contents);
    default:
      return -1;
  }
}

/**
 * A float is not finite when all its exponent bits are set: `high` is their mask in the last byte, `low` in the one
 * before.
 */
function firstFullExponent(bytes: Uint8Array, width: number, low: number, high: number): number {
  for (let at = width - 1; at < bytes.length; at += width)
    if (((bytes[at] ?? 0) & high) === high && ((bytes[at - 1] ?? 0) & low) === low)
      return (at - width + 1) / width;
  return -1;
}

function firstFullExponentOfHalf(bytes: Uint8Array): number {
  for (let at = 1; at < bytes.length; at += 2) if (((bytes[at] ?? 0) & 0x7c) === 0x7c) return (at - 1) / 2;
  return -1;
}
