import { HotloopError } from '@hotloop/proto/errors.ts';
import type { GraphBuilder } from '../onnx/graph-builder.ts';
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode } from '../onnx/model.ts';
import { decodeModel } from '../onnx/model.ts';
import { decodeMessage } from '../onnx/wire.ts';

const PREFIX = 'network/';

/** Decodes a network that will be part of a larger graph. Throws UNIMPLEMENTED for content that would be lost. */
export function readNetwork(onnx: Uint8Array): OnnxModel {
  const message = decodeMessage(onnx);
  const lost =
    message.functions.length > 0
      ? 'its own functions'
      : (message.graph?.sparse_initializer ?? []).length > 0
        ? 'sparse initializers'
        : undefined;
  if (lost !== undefined)
    throw new HotloopError(
      'UNIMPLEMENTED',
      `the network has ${lost}, which cannot be fused; export it again without them`,
      { reason: 'not_fusable' },
    );
  return decodeModel(onnx);
}

/**
 * Copies a network's nodes and weights into a graph, with a prefix on every name to avoid conflicts.
 *
 * @param inputs the value of the graph that each input of the network reads.
 * @returns the name in the graph of each output, in order.
 */
export function adoptNetwork(
  graph: GraphBuilder,
  network: OnnxGraph,
  inputs: ReadonlyMap<string, string>,
): readonly string[] {
  const rename = (name: string) => (name === '' ? '' : (inputs.get(name) ?? `${PREFIX}${name}`));
  for (const [name, value] of network.initializers)
    if (!inputs.has(name)) graph.adoptInitializer(rename(name), value);
  for (const node of network.nodes) graph.adopt(renamedNode(node, rename));
  return network.outputs.map(({ name }) => rename(name));
}

function renamedNode(node: OnnxNode, rename: (name: string) => string): OnnxNode {
  return {
    ...node,
    name: `${PREFIX}${node.name}`,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
    attributes: new Map([...node.attributes].map(([name, value]) => [name, renamedAttribute(value, rename)])),
  };
}

function renamedAttribute(attribute: OnnxAttribute, rename: (name: string) => string): OnnxAttribute {
  if (attribute.kind === 'graph') return { kind: 'graph', value: renamedGraph(attribute.value, rename) };
  if (attribute.kind === 'graphs')
    return { kind: 'graphs', value: attribute.value.map((graph) => renamedGraph(graph, rename)) };
  return attribute;
}

function renamedGraph(graph: OnnxGraph, rename: (name: string) => string): OnnxGraph {
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renamedNode(node, rename)),
    initializers: new Map([...graph.initializers].map(([name, value]) => [rename(name), value])),
    inputs: graph.inputs.map((value) => ({ ...value, name: rename(value.name) })),
    outputs: graph.outputs.map((value) => ({ ...value, name: rename(value.name) })),
  };
}
