import type { Element } from '@hotloop/model/manifest/nested-values.ts';
import type { Datatype } from '@hotloop/model/tensor.ts';
import { encodeElements } from '../oip/typed-contents.ts';
import { ELEMENT_BYTES } from '../runner/tensor-layout.ts';

export type Value = number | bigint | string | boolean;

/**
 * Elements as written in model.yaml, converted to a tensor's bytes. Throws INVALID_ARGUMENT for a value that the
 * datatype cannot hold.
 */
export function encodeValues(name: string, datatype: Datatype, elements: readonly Element[]): Uint8Array {
  if (datatype !== 'FP16' && datatype !== 'BF16') return encodeElements(name, datatype, elements);
  const view = new DataView(new ArrayBuffer(elements.length * 2));
  for (const [index, element] of elements.entries())
    if (datatype === 'FP16') view.setFloat16(index * 2, Number(element), true);
    else view.setUint16(index * 2, nearestBfloat16(Number(element)), true);
  return new Uint8Array(view.buffer);
}

/** A tensor's bytes as values; 64-bit integers as bigint. */
export function decodeValues(datatype: Datatype, contents: Uint8Array): Value[] {
  const view = new DataView(contents.buffer, contents.byteOffset, contents.byteLength);
  if (datatype === 'BYTES') return decodeTexts(contents, view);
  const bytes = ELEMENT_BYTES[datatype];
  return Array.from({ length: contents.length / bytes }, (_, index) => READ[datatype](view, index * bytes));
}

const READ: Readonly<Record<Exclude<Datatype, 'BYTES'>, (view: DataView, at: number) => Value>> = {
  BOOL: (view, at) => view.getUint8(at) !== 0,
  UINT8: (view, at) => view.getUint8(at),
  UINT16: (view, at) => view.getUint16(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  UINT64: (view, at) => view.getBigUint64(at, true),
  INT8: (view, at) => view.getInt8(at),
  INT16: (view, at) => view.getInt16(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  INT64: (view, at) => view.getBigInt64(at, true),
  FP16: (view, at) => view.getFloat16(at, true),
  BF16: (view, at) => floatOfBits(view.getUint16(at, true) << 16),
  FP32: (view, at) => view.getFloat32(at, true),
  FP64: (view, at) => view.getFloat64(at, true),
};

function decodeTexts(contents: Uint8Array, view: DataView): string[] {
  const texts: string[] = [];
  for (let at = 0; at < contents.length; ) {
    const end = at + 4 + view.getUint32(at, true);
    texts.push(Buffer.from(contents.subarray(at + 4, end)).toString('utf8'));
    at = end;
  }
  return texts;
}

/** A bfloat16 is the upper half of a 32-bit float; the lower half is rounded away, ties to even. */
function nearestBfloat16(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  const bits = view.getUint32(0);
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function floatOfBits(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setInt32(0, bits);
  return view.getFloat32(0);
}
