// The part of Apache Thrift's compact protocol that Parquet's footer and page headers use:
// https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md

const I32 = 5;
const I64 = 6;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;

/** A field's value to write: i32, i64, text, a list of one of these, or a struct. */
export type ThriftValue =
  | { readonly i32: number }
  | { readonly i64: number }
  | { readonly text: string }
  | { readonly list: readonly ThriftValue[]; readonly of: 'i32' | 'text' | 'struct' }
  | { readonly struct: ThriftStruct };
/** Fields by number, ascending. */
export type ThriftStruct = readonly (readonly [field: number, value: ThriftValue])[];

const TYPE = { i32: I32, i64: I64, text: BINARY, struct: STRUCT } as const;

/** The bytes of a struct, including its stop byte. */
export function encodeStruct(struct: ThriftStruct): Buffer {
  const bytes: number[] = [];
  writeStruct(struct, bytes);
  return Buffer.from(bytes);
}

function writeStruct(struct: ThriftStruct, out: number[]): void {
  let last = 0;
  for (const [field, value] of struct) {
    const delta = field - last;
    last = field;
    out.push((delta << 4) | typeOf(value));
    writeValue(value, out);
  }
  out.push(0);
}

function typeOf(value: ThriftValue): number {
  if ('i32' in value) return I32;
  if ('i64' in value) return I64;
  if ('text' in value) return BINARY;
  return 'list' in value ? LIST : STRUCT;
}

function writeValue(value: ThriftValue, out: number[]): void {
  if ('i32' in value) writeVarint(zigzag(BigInt(value.i32)), out);
  else if ('i64' in value) writeVarint(zigzag(BigInt(value.i64)), out);
  else if ('text' in value) {
    const bytes = Buffer.from(value.text, 'utf8');
    writeVarint(BigInt(bytes.length), out);
    for (const byte of bytes) out.push(byte);
  } else if ('list' in value) {
    const { list, of } = value;
    if (list.length < 15) out.push((list.length << 4) | TYPE[of]);
    else {
      out.push(0xf0 | TYPE[of]);
      writeVarint(BigInt(list.length), out);
    }
    for (const element of list) writeValue(element, out);
  } else writeStruct(value.struct, out);
}

function zigzag(value: bigint): bigint {
  return value < 0n ? -2n * value - 1n : 2n * value;
}

function writeVarint(value: bigint, out: number[]): void {
  let rest = value;
  while (rest >= 0x80n) {
    out.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  out.push(Number(rest));
}

export type ReadValue = number | string | boolean | readonly ReadValue[] | ReadStruct;
export type ReadStruct = ReadonlyMap<number, ReadValue>;

/** Decodes a struct; `end` is the offset after it. Throws RangeError for malformed bytes. */
export function decodeStruct(bytes: Buffer, start = 0): { readonly value: ReadStruct; readonly end: number } {
  const reader = { bytes, at: start };
  const value = readStruct(reader, 0);
  return { value, end: reader.at };
}

interface Reader {
  readonly bytes: Buffer;
  at: number;
}

const DEEPEST = 16;

function readStruct(reader: Reader, depth: number): ReadStruct {
  if (depth > DEEPEST) throw new RangeError('the struct is nested too deeply');
  const fields = new Map<number, ReadValue>();
  let last = 0;
  for (;;) {
    const head = readByte(reader);
    if (head === 0) return fields;
    const delta = head >> 4;
    last = delta === 0 ? Number(unzigzag(readVarint(reader))) : last + delta;
    fields.set(last, readValue(reader, head & 0x0f, depth));
  }
}

function readValue(reader: Reader, type: number, depth: number): ReadValue {
  switch (type) {
    case 1:
    case 2:
      return type === 1;
    case 3:
      return readByte(reader);
    case 4:
    case I32:
    case I64:
      return Number(unzigzag(readVarint(reader)));
    case 7:
      reader.at += 8;
      return reader.bytes.readDoubleLE(reader.at - 8);
    case BINARY: {
      const length = Number(readVarint(reader));
      if (reader.at + length > reader.bytes.length) throw new RangeError('a text is cut short');
      reader.at += length;
      return reader.bytes.toString('utf8', reader.at - length, reader.at);
    }
    case LIST: {
      const head = readByte(reader);
      const length = head >> 4 === 15 ? Number(readVarint(reader)) : head >> 4;
      if (length > reader.bytes.length) throw new RangeError('a list is cut short');
      return Array.from({ length }, () => readValue(reader, head & 0x0f, depth + 1));
    }
    case STRUCT:
      return readStruct(reader, depth + 1);
    default:
      throw new RangeError(`a value of the unknown type ${type}`);
  }
}

function readByte(reader: Reader): number {
  const byte = reader.bytes[reader.at++];
  if (byte === undefined) throw new RangeError('the bytes end too early');
  return byte;
}

function readVarint(reader: Reader): bigint {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    const byte = readByte(reader);
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
    if (shift > 63n) throw new RangeError('a number is too long');
  }
}

function unzigzag(value: bigint): bigint {
  return value & 1n ? -(value + 1n) / 2n : value / 2n;
}
