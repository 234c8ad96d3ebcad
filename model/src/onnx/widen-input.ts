import { elementCount, type OnnxTensor, readTensor, writeTensor } from './tensor.ts';
import { decodeMessage, encodeMessage, type WireGraph, type WireNode, wireNumber } from './wire.ts';

/** Operators by element, with the value that a constant gets for an unknown column. */
const BY_COLUMN: ReadonlyMap<string, number> = new Map([
  ['Add', 0],
  ['Sub', 0],
  ['Mul', 1],
  ['Div', 1],
]);

interface Columns {
  /** Number of columns of the old rows. */
  readonly width: number;
  /** For each new column the old one with the same meaning, or null for a column that the network does not know. */
  readonly from: readonly (number | null)[];
}

/**
 * Rewrites a network for rows with more columns, or the same columns in another order: unknown columns get weight 0, so the
 * outputs stay the same until the network is trained again. Everything else in the file is kept.
 *
 * The network must have one input, of shape [N, columns], which is only cast, scaled by constants, and multiplied by constant
 * matrices (MatMul, Gemm).
 *
 * @returns null for any other network, because its unknown columns cannot be given weight 0.
 * @throws a coded error for a file that cannot be decoded.
 */
export function widenInput(bytes: Uint8Array, columns: Columns): Uint8Array | null {
  const message = decodeMessage(bytes);
  const { graph } = message;
  if (!graph || message.functions.length > 0 || !widenGraph(graph, columns)) return null;
  return encodeMessage(message);
}

function widenGraph(graph: WireGraph, columns: Columns): boolean {
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  const inputs = graph.input.filter(({ name }) => !constants.has(name));
  const [input] = inputs;
  if (inputs.length !== 1 || !input || graph.sparse_initializer.length > 0) return false;
  const dimension = input.type?.tensor_type?.shape?.dim[1];
  if (dimension?.dim_value === undefined || wireNumber(dimension.dim_value, 'a dimension') !== columns.width)
    return false;

  /** Values whose last axis are the columns. */
  const rows = new Set([input.name]);
  /** By constant, the axis to widen and the value for unknown columns. */
  const widened = new Map<string, { readonly axis: number; readonly fill: number }>();
  const shapeOf = (name: string) =>
    constants.get(name)?.dims.map((dim) => wireNumber(dim, 'a dimension')) ?? null;
  for (const node of graph.node) {
    if (node.attribute.some(({ g, graphs }) => g || graphs.length > 0)) return false;
    const read = node.input.filter((name) => rows.has(name));
    if (read.length === 0) continue;
    const [output] = node.output;
    if (read.length !== 1 || node.domain !== '' || output === undefined) return false;
    if (node.op_type === 'Identity' || node.op_type === 'Cast') {
      rows.add(output);
      continue;
    }
    const other = node.input.find((name) => !rows.has(name));
    const shape = other === undefined ? null : shapeOf(other);
    if (other === undefined || shape === null) return false;
    const fill = BY_COLUMN.get(node.op_type);
    if (fill !== undefined) {
      // Dividing by an unknown column that is 0 would give infinity.
      if (node.op_type === 'Div' && node.input[0] === other) return false;
      if (elementCount(shape) !== 1) {
        if (shape.at(-1) !== columns.width || elementCount(shape) !== columns.width || shape.length > 2)
          return false;
        if (!claim(other, shape.length - 1, fill)) return false;
      }
      rows.add(output);
      continue;
    }
    const axis = axisOfWeights(node);
    if (axis === null || node.input[1] !== other || shape.length !== 2 || shape[axis] !== columns.width)
      return false;
    if (!claim(other, axis, 0)) return false;
  }
  if (graph.output.some(({ name }) => rows.has(name))) return false;
  // A constant that something else reads as well must keep its shape.
  const uses = graph.node.flatMap((node) => node.input);
  for (const name of widened.keys()) if (uses.filter((used) => used === name).length !== 1) return false;

  const tensors = new Map([...widened.keys()].map((name) => [name, readTensor(constants.get(name)!, name)]));
  for (const { elementType } of tensors.values())
    if (elementType !== 'float32' && elementType !== 'float64') return false;
  for (const [name, { axis, fill }] of widened) {
    const tensor = constants.get(name)!;
    const wider = widenTensor(tensors.get(name)!, axis, columns.from, fill);
    // The typed fields are cleared, otherwise one tensor would contain two sets of values.
    Object.assign(tensor, {
      float_data: [],
      double_data: [],
      int32_data: [],
      int64_data: [],
      uint64_data: [],
    });
    Object.assign(tensor, writeTensor(wider, name));
  }
  dimension.dim_value = columns.from.length;
  graph.value_info = graph.value_info.filter(({ name }) => !rows.has(name));
  // Older files list their constants among the inputs, with the shape.
  graph.input = graph.input.filter(({ name }) => !widened.has(name));
  return widened.size > 0;

  function claim(name: string, axis: number, fill: number): boolean {
    if (widened.has(name) || graph.output.some((output) => output.name === name)) return false;
    widened.set(name, { axis, fill });
    return true;
  }
}

/** The axis of the second input that the columns are summed over; null if the node is no product of matrices. */
function axisOfWeights({ op_type, attribute, input }: WireNode): number | null {
  if (op_type === 'MatMul') return 0;
  if (op_type !== 'Gemm' || input.length > 3) return null;
  const flag = (wanted: string) => Number(attribute.find(({ name }) => name === wanted)?.i ?? 0);
  if (flag('transA') !== 0) return null;
  return flag('transB') === 0 ? 0 : 1;
}

function widenTensor(
  tensor: OnnxTensor,
  axis: number,
  from: readonly (number | null)[],
  fill: number,
): OnnxTensor {
  const width = tensor.dims[axis]!;
  const after = elementCount(tensor.dims.slice(axis + 1));
  const before = elementCount(tensor.dims.slice(0, axis));
  const dims = tensor.dims.with(axis, from.length);
  const data = tensor.data as Float32Array | Float64Array;
  const wider = new (data.constructor as new (length: number) => typeof data)(elementCount(dims));
  for (let outer = 0; outer < before; outer++)
    for (const [column, source] of from.entries())
      for (let inner = 0; inner < after; inner++)
        wider[(outer * from.length + column) * after + inner] =
          source === null ? fill : data[(outer * width + source) * after + inner]!;
  return { ...tensor, dims, data: wider };
}
