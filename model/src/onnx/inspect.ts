import { type Dimension, type OnnxGraph, type OnnxModel, type OnnxNode, readModel } from './model.ts';
import type { ElementType } from './tensor.ts';
import { elementCount, hasNonFinite } from './tensor.ts';
import { quoted, unsound } from './unsound.ts';
import { decodeMessage, type WireModel } from './wire.ts';

/** An input or output as a caller sees it. */
export interface TensorSpec {
  readonly name: string;
  readonly elementType: ElementType;
  /** Named dimensions (such as 'N') are free; null means an unnamed free one, or an open rank. */
  readonly shape: readonly Dimension[] | null;
}

/** What is known about a model without running it. */
export interface ModelDescription {
  /** The inputs that a caller must provide, in the file's order. */
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Inputs that a caller may leave out, because an initializer of the same name is their default. */
  readonly withDefault: readonly string[];
  /** Version of the standard operator set; 0 if the file does not import it. */
  readonly opset: number;
  readonly opsets: Readonly<Record<string, number>>;
  /** How often each operator occurs, including subgraphs; outside the standard set as 'domain:operator'. */
  readonly operators: Readonly<Record<string, number>>;
  /** Number of elements of all floating point initializers. */
  readonly parameterCount: number;
  /**
   * Float initializers that contain a NaN or an infinity. Some are intended (attention masks), so the caller decides.
   */
  readonly nonFinite: readonly string[];
  readonly producer: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Limits on an accepted file. */
export interface InspectionLimits {
  readonly maxBytes?: number;
  readonly maxNodes?: number;
  /** Operator domains beyond the standard ones that the runtime is known to support. */
  readonly domains?: readonly string[];
}

const defaults = {
  maxBytes: 1 << 30,
  maxNodes: 100_000,
  domains: ['ai.onnx.ml', 'com.microsoft'],
} as const satisfies Required<InspectionLimits>;
const NO_STANDARD_SET = 0;
const maxInterface = 1024;
const maxElements = 2 ** 32;

/**
 * Decodes an ONNX file and rejects invalid content before any runtime sees it: bytes that are not an ONNX file or a
 * truncated one, data in other files, a training algorithm, operators of unknown domains, tensors that do not fill
 * their shape, names that are undefined, defined twice or cyclic, outputs that nothing produces, absurd sizes.
 *
 * @throws a coded error (INVALID_ARGUMENT) that says what is wrong and where. Only the runtime knows whether it can
 * execute every operator.
 */
export function inspectModel(bytes: Uint8Array, limits: InspectionLimits = {}): ModelDescription {
  const { maxBytes, maxNodes, domains } = { ...defaults, ...limits };
  if (bytes.length > maxBytes) {
    throw unsound(`the file has ${bytes.length} bytes; the limit is ${maxBytes}`);
  }
  const message = decodeMessage(bytes);
  refuseForeignData(message);
  if (message.training_info.length > 0) {
    throw unsound('the file contains a training algorithm; export the model for inference only');
  }
  const model = readModel(message);
  if (model.opsets.size === 0) throw unsound('the file imports no operator set');
  // A model with only other domains needs no standard operators.
  const version = model.opsets.get('') ?? NO_STANDARD_SET;
  if (version < NO_STANDARD_SET) throw unsound(`the standard operator set has version ${version}`);

  const functions = new Set(message.functions.map((fn) => `${fn.domain}:${fn.name}`));
  const operators: Record<string, number> = {};
  const allowed = new Set(['', ...domains]);
  let nodeCount = 0;
  for (const node of allNodes(model.graph)) {
    if (++nodeCount > maxNodes) throw unsound(`the graph has more than ${maxNodes} nodes`);
    checkDomain(node, model, allowed, functions);
    const key = node.domain === '' ? node.operator : `${node.domain}:${node.operator}`;
    operators[key] = (operators[key] ?? 0) + 1;
  }
  for (const fn of message.functions) {
    for (const node of fn.node) {
      const domain = node.domain === 'ai.onnx' ? '' : node.domain;
      if (!allowed.has(domain) && !functions.has(`${domain}:${node.op_type}`)) {
        throw unsound(`function ${quoted(fn.name)} uses operators of the foreign domain ${quoted(domain)}`);
      }
    }
  }
  checkSizes(model.graph);
  checkNames(model.graph, undefined, sparseNames(message));
  return describe(model, operators);
}

/** Rejects external data in any tensor: the whole message is scanned, not only the usual places. */
function refuseForeignData(message: WireModel): void {
  const pending: { value: object; owner: string }[] = [{ value: message, owner: '' }];
  for (let next = pending.pop(); next; next = pending.pop()) {
    const entry = next.value as { data_location?: number; external_data?: unknown[]; name?: unknown };
    const owner = typeof entry.name === 'string' && entry.name !== '' ? entry.name : next.owner;
    if (entry.data_location || (entry.external_data && entry.external_data.length > 0)) {
      throw unsound(`tensor ${quoted(owner)} keeps its data in another file; export the model as one file`);
    }
    for (const child of Object.values(next.value)) {
      if (typeof child !== 'object' || child === null || ArrayBuffer.isView(child)) continue;
      if (!Array.isArray(child)) pending.push({ value: child, owner });
      else if (typeof child[0] === 'object' && !ArrayBuffer.isView(child[0])) {
        for (const value of child) pending.push({ value: value as object, owner });
      }
    }
  }
}

function* allNodes(graph: OnnxGraph): Generator<OnnxNode> {
  for (const node of graph.nodes) {
    yield node;
    for (const subgraph of subgraphsOf(node)) yield* allNodes(subgraph);
  }
}

function subgraphsOf(node: OnnxNode): readonly OnnxGraph[] {
  return [...node.attributes.values()].flatMap((attribute) => {
    if (attribute.kind === 'graph') return [attribute.value];
    return attribute.kind === 'graphs' ? attribute.value : [];
  });
}

function checkDomain(
  node: OnnxNode,
  model: OnnxModel,
  allowed: ReadonlySet<string>,
  functions: ReadonlySet<string>,
): void {
  if (functions.has(`${node.domain}:${node.operator}`)) return;
  const what = `${describeNode(node)} uses operator ${quoted(node.operator)}`;
  if (!allowed.has(node.domain)) {
    throw unsound(
      `${what} of the foreign domain ${quoted(node.domain)}; only operators built into the runtime can be served`,
    );
  }
  if (!model.opsets.has(node.domain)) {
    throw unsound(`${what} of domain ${quoted(node.domain)}, whose operator set the file does not import`);
  }
}

function checkSizes(graph: OnnxGraph): void {
  if (graph.inputs.length > maxInterface || graph.outputs.length > maxInterface) {
    throw unsound(`the graph has ${graph.inputs.length} inputs and ${graph.outputs.length} outputs`);
  }
  for (const { name, shape } of [...graph.inputs, ...graph.outputs]) {
    const fixed = (shape ?? []).filter((dim): dim is number => typeof dim === 'number');
    if (elementCount(fixed) > maxElements)
      throw unsound(`${quoted(name)} declares an absurd shape: [${shape}]`);
  }
}

function sparseNames(message: WireModel): readonly string[] {
  return (message.graph?.sparse_initializer ?? []).map((sparse) => sparse.values?.name ?? '');
}

/** The names that a graph may read: those defined so far, and those of the enclosing graphs. */
class Scope {
  readonly #own = new Set<string>();
  readonly #outer: Scope | undefined;

  constructor(outer?: Scope) {
    this.#outer = outer;
  }

  has(name: string): boolean {
    return this.#own.has(name) || (this.#outer?.has(name) ?? false);
  }

  define(name: string, what: string): void {
    if (this.#own.has(name))
      throw unsound(`${what} defines the name ${quoted(name)}, which is already defined`);
    this.#own.add(name);
  }
}

/** Every name is defined once, before it is used; every output is defined. */
function checkNames(graph: OnnxGraph, outer?: Scope, sparse: readonly string[] = []): void {
  const scope = new Scope(outer);
  const inputs = new Set<string>();
  for (const { name } of graph.inputs) {
    if (name === '') throw unsound('an input has no name');
    inputs.add(name);
    scope.define(name, 'an input');
  }
  for (const name of [...graph.initializers.keys(), ...sparse]) {
    // An initializer may have an input's name: it is that input's default.
    if (!inputs.has(name)) scope.define(name, 'an initializer');
  }
  for (const [index, node] of graph.nodes.entries()) {
    for (const input of node.inputs) {
      if (input !== '' && !scope.has(input)) throw undefinedInput(graph, index, input);
    }
    for (const subgraph of subgraphsOf(node)) checkNames(subgraph, scope);
    for (const output of node.outputs) if (output !== '') scope.define(output, describeNode(node));
  }
  const outputs = new Set<string>();
  for (const { name } of graph.outputs) {
    if (!scope.has(name)) throw unsound(`nothing produces the output ${quoted(name)}`);
    if (outputs.has(name)) throw unsound(`the output ${quoted(name)} is declared twice`);
    outputs.add(name);
  }
  if (graph.outputs.length === 0) throw unsound('the graph has no output');
}

function undefinedInput(graph: OnnxGraph, index: number, input: string): Error {
  const what = `${describeNode(graph.nodes[index]!)} reads ${quoted(input)}`;
  const isLater = graph.nodes.slice(index).some((node) => node.outputs.includes(input));
  if (!isLater) return unsound(`${what}, which nothing defines`);
  return unsound(`${what} before it is defined: the nodes are in the wrong order or form a cycle`);
}

function describeNode(node: OnnxNode): string {
  return `node ${quoted(node.name || node.outputs[0] || node.operator)}`;
}

const floatTypes: ReadonlySet<ElementType> = new Set(['float32', 'float64', 'float16', 'bfloat16']);

function describe(model: OnnxModel, operators: Record<string, number>): ModelDescription {
  const { graph } = model;
  const floats = [...graph.initializers].filter(([, tensor]) => floatTypes.has(tensor.elementType));
  return {
    inputs: graph.inputs.filter((input) => !graph.initializers.has(input.name)),
    outputs: graph.outputs,
    withDefault: graph.inputs.flatMap(({ name }) => (graph.initializers.has(name) ? [name] : [])),
    opset: model.opsets.get('') ?? NO_STANDARD_SET,
    opsets: Object.fromEntries(model.opsets),
    operators,
    parameterCount: floats.reduce((total, [, tensor]) => total + tensor.data.length, 0),
    nonFinite: floats.filter(([, tensor]) => hasNonFinite(tensor)).map(([name]) => name),
    producer: model.producer,
    metadata: Object.fromEntries(model.metadata),
  };
}
