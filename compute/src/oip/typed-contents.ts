import type { Datatype } from '@hotloop/model/tensor.ts';
import type { InferTensorContents__Output } from '@hotloop/proto/gen/inference/InferTensorContents.ts';
import { quoted } from '@hotloop/proto/quoted.ts';
import { invalid } from './tensor-checks.ts';

type Field = keyof InferTensorContents__Output;

/** The message field that carries each datatype. FP16 and BF16 have none. */
const FIELD_OF: Readonly<Record<Datatype, Field | undefined>> = {
  BOOL: 'boolContents',
  INT8: 'intContents',
  INT16: 'intContents',
  INT32: 'intContents',
  INT64: 'int64Contents',
  UINT8: 'uintContents',
  UINT16: 'uintContents',
  UINT32: 'uintContents',
  UINT64: 'uint64Contents',
  FP16: undefined,
  BF16: undefined,
  FP32: 'fp32Contents',
  FP64: 'fp64Contents',
  BYTES: 'bytesContents',
};

const FIELDS: readonly Field[] = [...new Set(Object.values(FIELD_OF).filter((field) => field !== undefined))];

/** True when there is any typed element. */
export function hasTypedContents(contents: InferTensorContents__Output | null): boolean {
  return contents !== null && FIELDS.some((field) => contents[field].length > 0);
}

/**
 * Typed elements as raw bytes. Throws INVALID_ARGUMENT when the elements are in the field of another type, outside
 * the type's range, or when the type has no field.
 */
export function rawContents(
  name: string,
  datatype: Datatype,
  contents: InferTensorContents__Output,
): Uint8Array {
  const field = FIELD_OF[datatype];
  if (field === undefined)
    throw invalid(`input ${quoted(name)} of type ${datatype} has no typed contents; send raw_input_contents`);
  const other = FIELDS.find((candidate) => candidate !== field && contents[candidate].length > 0);
  if (other !== undefined)
    throw invalid(
      `input ${quoted(name)} is ${datatype}, but its contents are in ${snake(other)}, not ${snake(field)}`,
    );
  return encodeElements(name, datatype, contents[field]);
}

type Elements = readonly (boolean | number | bigint | string | Uint8Array)[];

/** JavaScript values as raw bytes; 64-bit integers may be bigint or text. */
export function encodeElements(name: string, datatype: Datatype, elements: Elements): Uint8Array {
  switch (datatype) {
    case 'BOOL':
      return Uint8Array.from(elements, (element) => Number(element === true || element === 1));
    case 'INT8':
    case 'INT16':
    case 'INT32':
    case 'UINT8':
    case 'UINT16':
    case 'UINT32':
      return encodeIntegers(name, datatype, elements);
    case 'INT64':
    case 'UINT64':
      return encodeLongs(name, datatype, elements);
    case 'FP32':
      return new Uint8Array(new Float32Array(elements.map(Number)).buffer);
    case 'FP64':
      return new Uint8Array(new Float64Array(elements.map(Number)).buffer);
    case 'BYTES':
      return encodeTexts(elements);
    case 'FP16':
    case 'BF16':
      throw invalid(`input ${quoted(name)} of type ${datatype} can only be sent as raw bytes`);
  }
}

const INTEGERS = {
  INT8: { array: Int8Array, least: -(2 ** 7), most: 2 ** 7 - 1 },
  INT16: { array: Int16Array, least: -(2 ** 15), most: 2 ** 15 - 1 },
  INT32: { array: Int32Array, least: -(2 ** 31), most: 2 ** 31 - 1 },
  UINT8: { array: Uint8Array, least: 0, most: 2 ** 8 - 1 },
  UINT16: { array: Uint16Array, least: 0, most: 2 ** 16 - 1 },
  UINT32: { array: Uint32Array, least: 0, most: 2 ** 32 - 1 },
} as const;

function encodeIntegers(name: string, datatype: keyof typeof INTEGERS, elements: Elements): Uint8Array {
  const { array, least, most } = INTEGERS[datatype];
  const numbers = elements.map(Number);
  const index = numbers.findIndex((number) => !Number.isInteger(number) || number < least || number > most);
  if (index >= 0) throw invalid(`input ${quoted(name)}: element ${index} is not ${datatype}`);
  return new Uint8Array(array.from(numbers).buffer);
}

function encodeLongs(name: string, datatype: 'INT64' | 'UINT64', elements: Elements): Uint8Array {
  const bytes = Buffer.alloc(elements.length * 8);
  for (const [index, element] of elements.entries()) {
    try {
      const value = BigInt(element as number | bigint | string);
      if (datatype === 'INT64') bytes.writeBigInt64LE(value, index * 8);
      else bytes.writeBigUInt64LE(value, index * 8);
    } catch {
      throw invalid(`input ${quoted(name)}: element ${index} is not ${datatype}`);
    }
  }
  return bytes;
}

function encodeTexts(elements: Elements): Uint8Array {
  return Buffer.concat(
    elements.flatMap((element) => {
      const bytes = element instanceof Uint8Array ? element : Buffer.from(String(element));
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

function snake(field: string): string {
  return field.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
}
