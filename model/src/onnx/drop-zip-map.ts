import { decodeMessage, encodeMessage, type WireModel, type WireNode } from './wire.ts';

const FLOAT = 1;

/**
 * Replaces outputs that are a sequence of maps, as scikit-learn's exporter writes probabilities (ZipMap), by the
 * matrix float32[N, classes] that the maps are made from, under the same name. Undefined when the file has no such
 * output, so that it stays unchanged, byte for byte.
 */
export function dropZipMap(
  bytes: Uint8Array,
): { onnx: Uint8Array; dropped: readonly ZippedOutput[] } | undefined {
  const message = decodeMessage(bytes);
  const { graph } = message;
  if (!graph) return undefined;
  const dropped: ZippedOutput[] = [];
  for (const node of graph.node) {
    if (node.op_type !== 'ZipMap' || node.domain !== 'ai.onnx.ml') continue;
    const output = graph.output.find(({ name }) => name === node.output[0]);
    if (!output) continue;
    const labels = labelsOf(node);
    dropped.push({ name: output.name, labels });
    node.op_type = 'Identity';
    node.domain = '';
    node.attribute = [];
    const dim = [{ dim_param: 'N' }, labels.length > 0 ? { dim_value: labels.length } : {}];
    output.type = { tensor_type: { elem_type: FLOAT, shape: { dim } } };
  }
  if (dropped.length === 0) return undefined;
  importStandardOperators(message);
  return { onnx: encodeMessage(message), dropped };
}

export interface ZippedOutput {
  readonly name: string;
  /** The classes, in the order of the columns. */
  readonly labels: readonly string[];
}

function labelsOf(node: WireNode): string[] {
  for (const { name, strings, ints } of node.attribute) {
    if (name === 'classlabels_strings') return strings.map((text) => Buffer.from(text).toString());
    if (name === 'classlabels_int64s') return ints.map(String);
  }
  return [];
}

/**
 * Identity needs the standard operator set, which a file with only ai.onnx.ml does not import. Every runtime supports
 * set 13.
 */
function importStandardOperators({ opset_import: imports }: WireModel): void {
  if (imports.some(({ domain }) => domain === '' || domain === 'ai.onnx')) return;
  imports.push({ domain: '', version: 13 });
}
