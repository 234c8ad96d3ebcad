import type { OnnxModel, OnnxNode } from '../model.ts';
import type { OnnxTensor } from '../tensor.ts';
import { isElementwise, ROW_RULES } from './row-rules.ts';
import { MIXED, type RowValue, rows } from './row-value.ts';

/** Constants of more integers are not axes or shapes, so they are not kept. */
const MOST_INTEGERS = 64;

/**
 * True when the graph itself proves that each row of a batch is computed from that row alone: the first dimension of
 * every input and output is the rows, and no operator combines values across it. Then rows of several requests may
 * share a run, whatever their values are. False only means that it is not proven: subgraphs, operators without a rule
 * and inputs of unknown rank count as mixing the rows.
 */
export function rowsAreIndependent(model: OnnxModel): boolean {
  const { graph, opsets } = model;
  const known = new Map<string, RowValue>();
  for (const [name, tensor] of graph.initializers) known.set(name, constantOf(tensor));
  for (const { name, shape } of graph.inputs) {
    // An input with a default may differ in each request.
    if (shape === null || shape.length === 0 || typeof shape[0] === 'number') known.set(name, MIXED);
    else
      known.set(
        name,
        rows(
          0,
          shape.map((dim) => (typeof dim === 'number' ? dim : null)),
        ),
      );
  }
  for (const node of graph.nodes) {
    const outputs = valuesOf(node, known, opsets.get('') ?? 1);
    for (const [index, name] of node.outputs.entries()) if (name !== '') known.set(name, outputs(index));
  }
  return graph.outputs.every(({ name }) => {
    const value = known.get(name);
    return value?.kind === 'rows' && value.axis === 0;
  });
}

function valuesOf(
  node: OnnxNode,
  known: ReadonlyMap<string, RowValue>,
  opset: number,
): (output: number) => RowValue {
  const inputs = node.inputs.map((name) => (name === '' ? undefined : (known.get(name) ?? MIXED)));
  if (node.operator === 'Constant' && node.domain === '') return () => constantNode(node);
  if (hasSubgraph(node)) return () => MIXED;
  if (inputs.length > 0 && inputs.every((value) => value === undefined || value.kind === 'constant'))
    return () => (isRandom(node) ? MIXED : { kind: 'constant', dims: constantDims(node, inputs) });
  const rule = ROW_RULES.get(node.domain === '' ? node.operator : `${node.domain}:${node.operator}`);
  if (rule === undefined) return () => MIXED;
  const found = rule({ node, inputs, opset });
  return (output) => (isList(found) ? (found[output] ?? MIXED) : found);
}

/** Dimensions of a value that is computed from constants alone; null if unknown. */
function constantDims(
  node: OnnxNode,
  inputs: readonly (RowValue | undefined)[],
): readonly (number | null)[] | null {
  if (node.domain !== '' || !isElementwise(node.operator)) return null;
  let dims: (number | null)[] = [];
  for (const value of inputs) {
    if (value === undefined) continue;
    if (value.kind !== 'constant' || value.dims === null) return null;
    const [long, short] = value.dims.length > dims.length ? [value.dims, dims] : [dims, value.dims];
    const shift = long.length - short.length;
    dims = long.map((dim, at) => (dim === 1 && at >= shift ? (short[at - shift] ?? null) : dim));
  }
  return dims;
}

const isList = (value: RowValue | readonly RowValue[]): value is readonly RowValue[] => Array.isArray(value);

function isRandom({ operator }: OnnxNode): boolean {
  return /^(Random|Bernoulli|Multinomial|Dropout)/.test(operator);
}

function hasSubgraph({ attributes }: OnnxNode): boolean {
  return [...attributes.values()].some(({ kind }) => kind === 'graph' || kind === 'graphs');
}

function constantOf({ dims, data }: OnnxTensor): RowValue {
  const isInteger = data instanceof BigInt64Array || data instanceof Int32Array;
  const integers = isInteger && data.length <= MOST_INTEGERS ? { integers: Array.from(data, Number) } : {};
  return { kind: 'constant', dims, ...integers };
}

function constantNode({ attributes }: OnnxNode): RowValue {
  const value = attributes.get('value');
  if (value?.kind === 'tensor') return constantOf(value.value);
  const ints = attributes.get('value_ints');
  if (ints?.kind === 'ints')
    return { kind: 'constant', dims: [ints.value.length], integers: ints.value.map(Number) };
  const int = attributes.get('value_int');
  if (int?.kind === 'int') return { kind: 'constant', dims: [], integers: [Number(int.value)] };
  if (attributes.has('value_float') || attributes.has('value_string')) return { kind: 'constant', dims: [] };
  return { kind: 'constant', dims: null };
}
