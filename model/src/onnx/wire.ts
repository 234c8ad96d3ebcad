import { fileURLToPath } from 'node:url';
import { HotloopError } from '@hotloop/proto/errors.ts';
import protobuf from 'protobufjs';
import { checkStructure } from './check-structure.ts';
import { unsound } from './unsound.ts';

/**
 * The messages of an ONNX file in wire form, as protobufjs decodes them from `proto/onnx/onnx.proto`. Absent fields
 * have their default ('' / 0 / empty list). Unknown fields are kept in the message and written back by {@link
 * encodeMessage}.
 */
export type WireInteger = number | { low: number; high: number; unsigned: boolean; toString(): string };

export interface WireTensor {
  dims: WireInteger[];
  data_type: number;
  segment?: object | null;
  float_data: number[];
  int32_data: number[];
  string_data: Uint8Array[];
  int64_data: WireInteger[];
  name: string;
  raw_data?: Uint8Array;
  double_data: number[];
  uint64_data: WireInteger[];
  external_data: WireEntry[];
  data_location: number;
}

export interface WireEntry {
  key: string;
  value: string;
}

export interface WireSparseTensor {
  values?: WireTensor | null;
  indices?: WireTensor | null;
  dims: WireInteger[];
}

export interface WireAttribute {
  name: string;
  type: number;
  ref_attr_name: string;
  f: number;
  i: WireInteger;
  s: Uint8Array;
  t?: WireTensor | null;
  g?: WireGraph | null;
  floats: number[];
  ints: WireInteger[];
  strings: Uint8Array[];
  tensors: WireTensor[];
  graphs: WireGraph[];
}

export interface WireNode {
  input: string[];
  output: string[];
  name: string;
  op_type: string;
  domain: string;
  attribute: WireAttribute[];
}

export interface WireDimension {
  dim_value?: WireInteger;
  dim_param?: string;
  value?: 'dim_value' | 'dim_param';
}

export interface WireType {
  tensor_type?: { elem_type: number; shape?: { dim: WireDimension[] } | null } | null;
  value?: string;
}

export interface WireValueInfo {
  name: string;
  type?: WireType | null;
}

export interface WireGraph {
  name: string;
  node: WireNode[];
  initializer: WireTensor[];
  sparse_initializer: WireSparseTensor[];
  input: WireValueInfo[];
  output: WireValueInfo[];
  value_info: WireValueInfo[];
}

export interface WireFunction {
  name: string;
  domain: string;
  input: string[];
  output: string[];
  node: WireNode[];
}

export interface WireModel {
  ir_version: WireInteger;
  producer_name: string;
  producer_version: string;
  graph?: WireGraph | null;
  opset_import: { domain: string; version: WireInteger }[];
  metadata_props: WireEntry[];
  training_info: object[];
  functions: WireFunction[];
}

const schema = new protobuf.Root()
  .loadSync(fileURLToPath(new URL('../../../proto/onnx/onnx.proto', import.meta.url)), { keepCase: true })
  .resolveAll();
const modelType = schema.lookupType('onnx.ModelProto');

/**
 * Decodes the protobuf message of an ONNX file. Byte fields are views into `bytes`, which must not change afterwards.
 *
 * @throws a coded error when the bytes are not such a message or are truncated.
 */
export function decodeMessage(bytes: Uint8Array): WireModel {
  if (bytes.length === 0) throw unsound('the file is empty; export the model to ONNX again');
  try {
    checkStructure(bytes, modelType);
    const reader = protobuf.Reader.create(bytes);
    reader.discardUnknown = false;
    return modelType.decode(reader) as unknown as WireModel;
  } catch (cause) {
    if (cause instanceof HotloopError) throw cause;
    throw unsound('not an ONNX file, or a truncated one: its protobuf message cannot be read', cause);
  }
}

/** Encodes the protobuf message of an ONNX file; the same message gives the same bytes. */
export function encodeMessage(message: object): Uint8Array {
  // A copy, because the writer's bytes may be in a shared buffer; `slice` of a Buffer would not copy.
  return new Uint8Array(modelType.encode(message).finish());
}

/** @returns the integer of a 64-bit field, exactly. */
export function wireBigInt(value: WireInteger): bigint {
  return BigInt(typeof value === 'number' ? value : value.toString());
}

/** @returns the integer of a 64-bit field, which must fit a JavaScript number. */
export function wireNumber(value: WireInteger, what: string): number {
  const exact = wireBigInt(value);
  if (exact > BigInt(Number.MAX_SAFE_INTEGER) || exact < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw unsound(`${what} is ${exact}, which is beyond any real model`);
  }
  return Number(exact);
}

/** @returns the 64-bit field for this integer. */
export function toWireInteger(value: bigint | number): WireInteger {
  const exact = BigInt(value);
  return {
    low: Number(BigInt.asIntN(32, exact)),
    high: Number(BigInt.asIntN(32, exact >> 32n)),
    unsigned: false,
  };
}
