import { HotloopError } from '@hotloop/proto/errors.ts';

/** Fields of ModelProto: metadata_props = 14, entries of key = 1 and value = 2 (onnx/onnx.proto). */
const METADATA_FIELD = 14;
const LENGTH_DELIMITED = 2;

/**
 * The metadata of an ONNX file, without decoding its graph: for programs that must start fast. Throws
 * INVALID_ARGUMENT for bytes that are not such a file.
 */
export function readMetadata(onnx: Uint8Array): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  for (const [field, bytes] of fieldsOf(onnx)) {
    if (field !== METADATA_FIELD) continue;
    const entry = new Map(fieldsOf(bytes));
    metadata.set(textOf(entry.get(1)), textOf(entry.get(2)));
  }
  return metadata;
}

/** The length-delimited fields of a message (protobuf.dev/programming-guides/encoding); others are skipped. */
function* fieldsOf(bytes: Uint8Array): Generator<[number, Uint8Array]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw notOnnx();
  };
  while (at < bytes.length) {
    const tag = varint();
    const type = tag & 7;
    if (type === 0) varint();
    else if (type === 1) at += 8;
    else if (type === 5) at += 4;
    else if (type === LENGTH_DELIMITED) {
      const length = varint();
      if (at + length > bytes.length) throw notOnnx();
      yield [Math.floor(tag / 8), bytes.subarray(at, at + length)];
      at += length;
    } else throw notOnnx();
  }
}

const textOf = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes ?? new Uint8Array());

function notOnnx(): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', 'the file is not an ONNX model', { reason: 'not_onnx' });
}
