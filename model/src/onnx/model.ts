import {
  describeTensor,
  type ElementType,
  elementTypeCode,
  elementTypeOf,
  type OnnxTensor,
  readTensor,
  writeTensor,
} from './tensor.ts';
import { quoted, unsound } from './unsound.ts';
import {
  decodeMessage,
  encodeMessage,
  toWireInteger,
  type WireAttribute,
  type WireGraph,
  type WireModel,
  type WireNode,
  type WireValueInfo,
  wireBigInt,
  wireNumber,
} from './wire.ts';

/** One dimension: a fixed size, a named one that the caller chooses (such as 'N'), or null when not declared. */
export type Dimension = number | string | null;

/** An input or output of a graph. `shape` is null when even the rank is open. */
export interface ValueSpec {
  readonly name: string;
  readonly elementType: ElementType;
  readonly shape: readonly Dimension[] | null;
}

export type OnnxAttribute =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'tensor'; readonly value: OnnxTensor }
  | { readonly kind: 'graph'; readonly value: OnnxGraph }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly bigint[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'graphs'; readonly value: readonly OnnxGraph[] }
  /** Kinds that are not interpreted here (sparse tensors, types, references in functions): copied unchanged. */
  | { readonly kind: 'opaque'; readonly value: object };

/** One operation. An empty input name omits an optional input; an empty output name discards that output. */
export interface OnnxNode {
  readonly name: string;
  readonly operator: string;
  /** Empty for the standard operators. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
}

/**
 * A graph of operations in topological order. `outputs` are only guaranteed to be tensors in the main graph of an
 * accepted model.
 */
export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, OnnxTensor>;
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
  /** Shapes of intermediate values by name, if the exporter stored them in the file. */
  readonly told?: ReadonlyMap<string, readonly Dimension[]>;
}

/**
 * An ONNX model as the platform uses it. It does not contain everything of the file: doc strings, functions, sparse
 * initializers and unknown fields are missing. To change weights in a file and keep the rest, use
 * `replaceInitializers`.
 */
export interface OnnxModel {
  readonly irVersion: number;
  readonly producer: string;
  /** Operator set versions by domain; '' is the standard one. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly graph: OnnxGraph;
}

/**
 * Decodes an ONNX file. @throws a coded error when it cannot be decoded; see `inspectModel` for the complete
 * validation.
 */
export function decodeModel(bytes: Uint8Array): OnnxModel {
  return readModel(decodeMessage(bytes));
}

/** @returns the model of a decoded message. */
export function readModel(message: WireModel): OnnxModel {
  if (!message.graph) throw unsound('the file contains no graph; export the model to ONNX again');
  const opsets = new Map<string, number>();
  for (const { domain, version } of message.opset_import) {
    const key = domain === 'ai.onnx' ? '' : domain;
    // Some converters import a domain twice. Like the runtime, we use the last one.
    opsets.set(key, wireNumber(version, 'an operator set version'));
  }
  return {
    irVersion: wireNumber(message.ir_version, 'the IR version'),
    producer: message.producer_name,
    opsets,
    metadata: new Map(message.metadata_props.map(({ key, value }) => [key, value])),
    graph: readGraph(message.graph, 'the graph', 0),
  };
}

const maxDepth = 8;

function readGraph(graph: WireGraph, where: string, depth: number): OnnxGraph {
  if (depth > maxDepth) throw unsound(`graphs are nested more than ${maxDepth} deep`);
  const initializers = new Map<string, OnnxTensor>();
  for (const tensor of graph.initializer) {
    if (tensor.name === '') throw unsound(`${where} has an initializer without a name`);
    if (initializers.has(tensor.name))
      throw unsound(`${where} defines initializer ${quoted(tensor.name)} twice`);
    initializers.set(tensor.name, readTensor(tensor, describeTensor('initializer', tensor.name)));
  }
  return {
    name: graph.name,
    nodes: graph.node.map((node) => readNode(node, depth)),
    initializers,
    inputs: graph.input.map((value) => readValue(value, 'input', depth)),
    outputs: graph.output.map((value) => readValue(value, 'output', depth)),
    ...toldShapes(graph),
  };
}

/** Value infos are hints: what cannot be decoded in them is ignored. */
function toldShapes(graph: WireGraph): { told?: ReadonlyMap<string, readonly Dimension[]> } {
  const told = new Map<string, readonly Dimension[]>();
  for (const { name, type } of graph.value_info) {
    const dims = type?.tensor_type?.shape?.dim;
    if (!dims) continue;
    told.set(
      name,
      dims.map((dim): Dimension => {
        if (dim.value === 'dim_value')
          return Math.max(0, wireNumber(dim.dim_value!, `a dimension of ${quoted(name)}`));
        return dim.value === 'dim_param' && dim.dim_param ? dim.dim_param : null;
      }),
    );
  }
  return told.size > 0 ? { told } : {};
}

function readValue(value: WireValueInfo, kind: string, depth: number): ValueSpec {
  const what = `${kind} ${quoted(value.name)}`;
  const tensor = value.type?.tensor_type;
  if (!tensor) {
    // Inside a subgraph a type may be left to inference; for inputs and outputs of the model it must be declared.
    if (depth > 0) return { name: value.name, elementType: 'float32', shape: null };
    throw unsound(
      `${what} is not a tensor; export the model with plain tensor inputs and outputs (no ZipMap)`,
    );
  }
  const elementType = elementTypeOf(tensor.elem_type);
  if (!elementType) throw unsound(`${what} has the unknown element type ${tensor.elem_type}`);
  const shape = tensor.shape?.dim.map((dim): Dimension => {
    if (dim.value === 'dim_value') return wireNumber(dim.dim_value!, `a dimension of ${what}`);
    return dim.value === 'dim_param' && dim.dim_param ? dim.dim_param : null;
  });
  if (shape?.some((dim) => typeof dim === 'number' && dim < 0)) {
    throw unsound(`${what} declares a negative dimension: [${shape}]`);
  }
  return { name: value.name, elementType, shape: shape ?? null };
}

function readNode(node: WireNode, depth: number): OnnxNode {
  const what = `node ${quoted(node.name || node.output[0] || node.op_type)}`;
  if (node.op_type === '') throw unsound(`${what} names no operator`);
  const attributes = new Map<string, OnnxAttribute>();
  for (const attribute of node.attribute) {
    if (attributes.has(attribute.name))
      throw unsound(`${what} has attribute ${quoted(attribute.name)} twice`);
    attributes.set(attribute.name, readAttribute(attribute, what, depth));
  }
  const domain = node.domain === 'ai.onnx' ? '' : node.domain;
  return {
    name: node.name,
    operator: node.op_type,
    domain,
    inputs: node.input,
    outputs: node.output,
    attributes,
  };
}

function readAttribute(attribute: WireAttribute, what: string, depth: number): OnnxAttribute {
  const label = `attribute ${quoted(attribute.name)} of ${what}`;
  const text = new TextDecoder();
  switch (attribute.type) {
    case 1:
      return { kind: 'float', value: attribute.f };
    case 2:
      return { kind: 'int', value: wireBigInt(attribute.i) };
    case 3:
      return { kind: 'string', value: text.decode(attribute.s) };
    case 4:
      if (!attribute.t) throw unsound(`${label} is declared as a tensor but contains none`);
      return { kind: 'tensor', value: readTensor(attribute.t, label) };
    case 5:
      if (!attribute.g) throw unsound(`${label} is declared as a graph but contains none`);
      return { kind: 'graph', value: readGraph(attribute.g, label, depth + 1) };
    case 6:
      return { kind: 'floats', value: attribute.floats };
    case 7:
      return { kind: 'ints', value: attribute.ints.map(wireBigInt) };
    case 8:
      return { kind: 'strings', value: attribute.strings.map((bytes) => text.decode(bytes)) };
    case 10:
      return { kind: 'graphs', value: attribute.graphs.map((graph) => readGraph(graph, label, depth + 1)) };
    default:
      if (attribute.type === 0 && attribute.ref_attr_name === '')
        throw unsound(`${label} does not say its type`);
      return { kind: 'opaque', value: attribute };
  }
}

/** Encodes a model as an ONNX file; the same model gives the same bytes. */
export function encodeModel(model: OnnxModel): Uint8Array {
  return encodeMessage({
    ir_version: toWireInteger(model.irVersion),
    producer_name: model.producer,
    graph: writeGraph(model.graph),
    opset_import: [...model.opsets].map(([domain, version]) => ({ domain, version: toWireInteger(version) })),
    metadata_props: [...model.metadata].map(([key, value]) => ({ key, value })),
  });
}

function writeGraph(graph: OnnxGraph): object {
  return {
    name: graph.name,
    node: graph.nodes.map(writeNode),
    initializer: [...graph.initializers].map(([name, tensor]) => writeTensor(tensor, name)),
    input: graph.inputs.map(writeValue),
    output: graph.outputs.map(writeValue),
  };
}

function writeValue(value: ValueSpec): object {
  const shape = value.shape && {
    dim: value.shape.map((dim) => {
      if (typeof dim === 'number') return { dim_value: toWireInteger(dim) };
      return dim === null ? {} : { dim_param: dim };
    }),
  };
  return {
    name: value.name,
    type: { tensor_type: { elem_type: elementTypeCode(value.elementType), ...(shape ? { shape } : {}) } },
  };
}

function writeNode(node: OnnxNode): object {
  return {
    input: node.inputs,
    output: node.outputs,
    op_type: node.operator,
    ...(node.name === '' ? {} : { name: node.name }),
    ...(node.domain === '' ? {} : { domain: node.domain }),
    attribute: [...node.attributes].map(([name, attribute]) => writeAttribute(name, attribute)),
  };
}

function writeAttribute(name: string, attribute: OnnxAttribute): object {
  const text = new TextEncoder();
  switch (attribute.kind) {
    case 'float':
      return { name, type: 1, f: attribute.value };
    case 'int':
      return { name, type: 2, i: toWireInteger(attribute.value) };
    case 'string':
      return { name, type: 3, s: text.encode(attribute.value) };
    case 'tensor':
      return { name, type: 4, t: writeTensor(attribute.value) };
    case 'graph':
      return { name, type: 5, g: writeGraph(attribute.value) };
    case 'floats':
      return { name, type: 6, floats: attribute.value };
    case 'ints':
      return { name, type: 7, ints: attribute.value.map(toWireInteger) };
    case 'strings':
      return { name, type: 8, strings: attribute.value.map((value) => text.encode(value)) };
    case 'graphs':
      return { name, type: 10, graphs: attribute.value.map(writeGraph) };
    case 'opaque':
      return attribute.value;
  }
}
