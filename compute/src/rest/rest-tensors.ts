import type { Datatype } from '@hotloop/model/tensor.ts';
import type { HotloopError } from '@hotloop/proto/errors.ts';
import { quoted } from '@hotloop/proto/quoted.ts';
import type { OipTensor } from '../oip/oip-request.ts';
import { invalid } from '../oip/tensor-checks.ts';

declare global {
  interface JSON {
    /** A value that JSON.stringify writes as exactly the given text. */
    rawJSON(text: string): unknown;
  }
}

/** True for 16-bit floats, which JSON cannot carry in this protocol. */
export function isBeyondJson(datatype: Datatype): boolean {
  return datatype === 'FP16' || datatype === 'BF16';
}

export function notInJson({ name, datatype }: Pick<OipTensor, 'name' | 'datatype'>): HotloopError {
  return invalid(`output ${quoted(name)} is ${datatype}, which JSON cannot carry; ask for binary_data`);
}

/** Elements of a tensor as JSON values. Throws INVALID_ARGUMENT for 16-bit floats, which JSON cannot carry. */
export function jsonElements(tensor: OipTensor): unknown[] {
  const { datatype } = tensor;
  // A copy, because typed arrays need aligned bytes.
  const bytes = Uint8Array.from(tensor.contents);
  switch (datatype) {
    case 'BOOL':
      return Array.from(bytes, (byte) => byte !== 0);
    case 'UINT8':
      return [...bytes];
    case 'INT8':
      return [...new Int8Array(bytes.buffer)];
    case 'UINT16':
      return [...new Uint16Array(bytes.buffer)];
    case 'INT16':
      return [...new Int16Array(bytes.buffer)];
    case 'UINT32':
      return [...new Uint32Array(bytes.buffer)];
    case 'INT32':
      return [...new Int32Array(bytes.buffer)];
    case 'UINT64':
      return Array.from(new BigUint64Array(bytes.buffer), (value) => JSON.rawJSON(String(value)));
    case 'INT64':
      return Array.from(new BigInt64Array(bytes.buffer), (value) => JSON.rawJSON(String(value)));
    case 'FP32':
      return [...new Float32Array(bytes.buffer)];
    case 'FP64':
      return [...new Float64Array(bytes.buffer)];
    case 'BYTES':
      return texts(bytes);
    case 'FP16':
    case 'BF16':
      throw notInJson(tensor);
  }
}

function texts(contents: Uint8Array): string[] {
  const bytes = Buffer.from(contents.buffer);
  const found: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at);
    found.push(bytes.toString('utf8', at + 4, end));
    at = end;
  }
  return found;
}

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
type ParseWithSource = (text: string, reviver: Reviver) => unknown;

/**
 * Parses JSON. If the text mentions a 64-bit integer type, integers past 2^53 become bigint, so that no digit is
 * lost. Throws SyntaxError, and RangeError when the nesting is too deep for that.
 */
export function parseLossless(text: string): unknown {
  if (!/"U?INT64"/.test(text)) return JSON.parse(text);
  return (JSON.parse as ParseWithSource)(text, (_, value, { source }) =>
    Number.isInteger(value) && !Number.isSafeInteger(value) && source !== undefined && /^-?\d+$/.test(source)
      ? BigInt(source)
      : value,
  );
}
