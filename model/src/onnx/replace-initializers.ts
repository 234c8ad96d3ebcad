import { elementCount, elementTypeCode, type OnnxTensor, writeTensor } from './tensor.ts';
import { quoted, unsound } from './unsound.ts';
import { decodeMessage, encodeMessage, wireNumber } from './wire.ts';

/**
 * Writes the same ONNX file with other values in some of its initializers. Everything else is kept: nodes, names,
 * metadata, doc strings, and fields that this platform does not know.
 *
 * @param replacements new values by initializer name, of the same element type and shape as the old ones.
 * @throws a coded error for a name that the file does not have, or a tensor of another type or shape.
 */
export function replaceInitializers(
  bytes: Uint8Array,
  replacements: ReadonlyMap<string, OnnxTensor>,
): Uint8Array {
  const message = decodeMessage(bytes);
  const missing = new Set(replacements.keys());
  const initializers = message.graph?.initializer ?? [];
  for (const [index, old] of initializers.entries()) {
    const replacement = replacements.get(old.name);
    if (!replacement) continue;
    missing.delete(old.name);
    const dims = old.dims.map((dim) => wireNumber(dim, `a dimension of ${quoted(old.name)}`));
    const sameShape =
      dims.length === replacement.dims.length && dims.every((dim, i) => dim === replacement.dims[i]);
    if (!sameShape || old.data_type !== elementTypeCode(replacement.elementType)) {
      throw unsound(
        `initializer ${quoted(old.name)} has shape [${dims}]; the new values have [${replacement.dims}]`,
      );
    }
    if (replacement.data.length !== elementCount(dims)) {
      throw unsound(`the new values of initializer ${quoted(old.name)} do not fill its shape [${dims}]`);
    }
    // Clear the typed fields, otherwise one tensor would contain two sets of values; its other fields are kept.
    Object.assign(old, { float_data: [], double_data: [], int32_data: [], int64_data: [], uint64_data: [] });
    initializers[index] = Object.assign(old, writeTensor(replacement, old.name));
  }
  const [first] = missing;
  if (first !== undefined) throw unsound(`the model has no initializer ${quoted(first)}`);
  return encodeMessage(message);
}
