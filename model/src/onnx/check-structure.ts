import protobuf from 'protobufjs';
import { unsound } from './unsound.ts';

/** Total number of fields of all messages. The largest models in use have some hundred thousand. */
const maxFields = 2_000_000;
const maxDepth = 64;

/**
 * Scans a protobuf message without decoding it, and rejects one that would decode into far more memory than its size:
 * two bytes can encode an empty message, which takes hundreds of bytes when decoded. Large values are skipped.
 *
 * @throws a coded error, or a RangeError of the reader when the bytes are truncated.
 */
export function checkStructure(bytes: Uint8Array, type: protobuf.Type): void {
  const reader = protobuf.Reader.create(bytes);
  let fields = 0;
  const count = (more: number) => {
    fields += more;
    if (fields > maxFields)
      throw unsound(`the file consists of more than ${maxFields} parts, which no real model has`);
  };
  const walk = (message: protobuf.Type, end: number, depth: number) => {
    if (depth > maxDepth) throw unsound(`the parts of the file are nested more than ${maxDepth} deep`);
    while (reader.pos < end) {
      const tag = reader.uint32();
      count(1);
      if ((tag & 7) !== 2) {
        reader.skipType(tag & 7);
        continue;
      }
      const length = reader.uint32();
      const next = reader.pos + length;
      const field = message.fieldsById[tag >>> 3];
      const inner = field?.resolvedType;
      // Each packed 64-bit integer becomes an object and takes at least one byte.
      if (field && /^u?int64$/.test(field.type)) count(length);
      if (inner instanceof protobuf.Type && next <= end) walk(inner, next, depth + 1);
      else reader.skip(length);
    }
  };
  walk(type, bytes.length, 0);
}
