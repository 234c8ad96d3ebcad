import { quoted, unsound } from './unsound.ts';
import { toWireInteger, type WireTensor, wireBigInt, wireNumber } from './wire.ts';

/** Element types of ONNX, by the code of `TensorProto.DataType`. */
const elementTypes = {
  1: { name: 'float32', bits: 32, array: Float32Array },
  2: { name: 'uint8', bits: 8, array: Uint8Array },
  3: { name: 'int8', bits: 8, array: Int8Array },
  4: { name: 'uint16', bits: 16, array: Uint16Array },
  5: { name: 'int16', bits: 16, array: Int16Array },
  6: { name: 'int32', bits: 32, array: Int32Array },
  7: { name: 'int64', bits: 64, array: BigInt64Array },
  8: { name: 'string', bits: 0, array: null },
  9: { name: 'bool', bits: 8, array: Uint8Array },
  10: { name: 'float16', bits: 16, array: Uint16Array },
  11: { name: 'float64', bits: 64, array: Float64Array },
  12: { name: 'uint32', bits: 32, array: Uint32Array },
  13: { name: 'uint64', bits: 64, array: BigUint64Array },
  14: { name: 'complex64', bits: 64, array: Float32Array },
  15: { name: 'complex128', bits: 128, array: Float64Array },
  16: { name: 'bfloat16', bits: 16, array: Uint16Array },
  17: { name: 'float8e4m3fn', bits: 8, array: Uint8Array },
  18: { name: 'float8e4m3fnuz', bits: 8, array: Uint8Array },
  19: { name: 'float8e5m2', bits: 8, array: Uint8Array },
  20: { name: 'float8e5m2fnuz', bits: 8, array: Uint8Array },
  21: { name: 'uint4', bits: 4, array: Uint8Array },
  22: { name: 'int4', bits: 4, array: Uint8Array },
  23: { name: 'float4e2m1', bits: 4, array: Uint8Array },
} as const;

type ElementTypeRow = (typeof elementTypes)[keyof typeof elementTypes];

/** The type of a tensor's elements, by the name that its field uses. */
export type ElementType = ElementTypeRow['name'];

/** The elements in row-major order. 16-bit floats, 8-bit floats and packed 4-bit values are raw bits. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | readonly string[];

/** A constant tensor. `dims` is empty for a scalar. Complex values are (real, imaginary) pairs. */
export interface OnnxTensor {
  readonly elementType: ElementType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

const codeByName = new Map<ElementType, number>(
  Object.entries(elementTypes).map(([code, row]) => [row.name, Number(code)]),
);
const maxRank = 32;

/** @returns the element type of a `TensorProto.DataType` code, or undefined for an unknown code. */
export function elementTypeOf(code: number): ElementType | undefined {
  return (elementTypes as Record<number, ElementTypeRow | undefined>)[code]?.name;
}

/** @returns the `TensorProto.DataType` code of an element type. */
export function elementTypeCode(type: ElementType): number {
  return codeByName.get(type)!;
}

/** @returns the number of elements of a tensor with these dimensions. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

function rowOf(tensor: WireTensor, what: string): ElementTypeRow {
  const row = (elementTypes as Record<number, ElementTypeRow | undefined>)[tensor.data_type];
  if (!row) throw unsound(`${what} has the unknown element type ${tensor.data_type}`);
  return row;
}

function typedValues(tensor: WireTensor, row: ElementTypeRow): readonly number[] | bigint[] {
  switch (row.name) {
    case 'float32':
    case 'complex64':
      return tensor.float_data;
    case 'float64':
    case 'complex128':
      return tensor.double_data;
    case 'int64':
      return tensor.int64_data.map(wireBigInt);
    case 'uint64':
      return tensor.uint64_data.map((value) => BigInt.asUintN(64, wireBigInt(value)));
    case 'uint32':
      return tensor.uint64_data.map((value) => Number(wireBigInt(value)));
    default:
      return tensor.int32_data;
  }
}

/**
 * Decodes a constant tensor and checks it against its own declaration.
 *
 * @param what names the tensor in messages, such as "initializer 'w1'".
 * @throws a coded error when its data is outside the file, split into segments, or does not match dims x element
 * type.
 */
export function readTensor(tensor: WireTensor, what: string): OnnxTensor {
  if (tensor.data_location !== 0 || tensor.external_data.length > 0) {
    throw unsound(
      `${what} keeps its data in another file; export the model as one file, without external data`,
    );
  }
  if (tensor.segment) throw unsound(`${what} is a segment of a tensor, which is not supported`);
  const row = rowOf(tensor, what);
  if (tensor.dims.length > maxRank) throw unsound(`${what} has ${tensor.dims.length} dimensions`);
  const dims = tensor.dims.map((dim) => wireNumber(dim, `a dimension of ${what}`));
  if (dims.some((dim) => dim < 0)) throw unsound(`${what} has a negative dimension: [${dims}]`);
  const count = elementCount(dims);
  if (!Number.isSafeInteger(count))
    throw unsound(`${what} declares more elements than any real model: [${dims}]`);

  const mismatch = (found: number, unit: string, expected: number) =>
    unsound(`${what} contains ${found} ${unit}, but its shape [${dims}] of ${row.name} needs ${expected}`);
  if (row.array === null) {
    if (tensor.string_data.length !== count) throw mismatch(tensor.string_data.length, 'strings', count);
    const decoder = new TextDecoder();
    return { elementType: row.name, dims, data: tensor.string_data.map((bytes) => decoder.decode(bytes)) };
  }
  const expectedBytes = Math.ceil((count * row.bits) / 8);
  const raw = tensor.raw_data;
  if (raw && raw.length > 0) {
    if (raw.length !== expectedBytes) throw mismatch(raw.length, 'bytes', expectedBytes);
    // A copy: a view could start at any byte, but typed arrays need aligned ones.
    return { elementType: row.name, dims, data: new row.array(new Uint8Array(raw).buffer) };
  }
  const values = typedValues(tensor, row);
  const expectedValues = expectedBytes / row.array.BYTES_PER_ELEMENT;
  if (values.length !== expectedValues) throw mismatch(values.length, 'values', expectedValues);
  // The constructors differ only in accepting numbers or bigints, and typedValues returns the right ones.
  const construct = row.array as unknown as { from(values: readonly (number | bigint)[]): TensorData };
  return { elementType: row.name, dims, data: construct.from(values) };
}

/** @returns the wire form of a tensor: raw little-endian bytes, except for strings. */
export function writeTensor(tensor: OnnxTensor, name = ''): object {
  const common = {
    dims: tensor.dims.map(toWireInteger),
    data_type: elementTypeCode(tensor.elementType),
    ...(name === '' ? {} : { name }),
  };
  const { data } = tensor;
  if (!ArrayBuffer.isView(data)) {
    const encoder = new TextEncoder();
    return { ...common, string_data: data.map((text) => encoder.encode(text)) };
  }
  return { ...common, raw_data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/** @returns a tensor of 32-bit floats; without `dims`, a vector. */
export function float32Tensor(values: ArrayLike<number>, dims?: readonly number[]): OnnxTensor {
  return checked({ elementType: 'float32', dims: dims ?? [values.length], data: Float32Array.from(values) });
}

/** @returns a tensor of 64-bit floats; without `dims`, a vector. */
export function float64Tensor(values: ArrayLike<number>, dims?: readonly number[]): OnnxTensor {
  return checked({ elementType: 'float64', dims: dims ?? [values.length], data: Float64Array.from(values) });
}

/** @returns a tensor of 64-bit integers; without `dims`, a vector. */
export function int64Tensor(values: readonly number[], dims?: readonly number[]): OnnxTensor {
  return checked({
    elementType: 'int64',
    dims: dims ?? [values.length],
    data: BigInt64Array.from(values, (value) => BigInt(value)),
  });
}

function checked(tensor: OnnxTensor): OnnxTensor {
  if (tensor.data.length !== elementCount(tensor.dims)) {
    throw new RangeError(`${tensor.data.length} values do not fill the shape [${tensor.dims}]`);
  }
  return tensor;
}

/** @returns whether a tensor of floats contains a NaN or an infinity. */
export function hasNonFinite(tensor: OnnxTensor): boolean {
  const { data } = tensor;
  if (data instanceof Float32Array || data instanceof Float64Array) return !data.every(Number.isFinite);
  // NaN and infinity have all exponent bits set: bits 10-14 of a half float, 7-14 of a bfloat16.
  if (tensor.elementType === 'float16')
    return (data as Uint16Array).some((bits) => (bits & 0x7c00) === 0x7c00);
  if (tensor.elementType === 'bfloat16')
    return (data as Uint16Array).some((bits) => (bits & 0x7f80) === 0x7f80);
  return false;
}

/** Names a tensor in messages. */
export function describeTensor(kind: string, name: string): string {
  return name === '' ? `an unnamed ${kind}` : `${kind} ${quoted(name)}`;
}
