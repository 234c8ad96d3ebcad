import type { OnnxAttribute, OnnxGraph, OnnxNode } from './model.ts';
import { quoted, unsound } from './unsound.ts';

function attributeOf<K extends OnnxAttribute['kind']>(
  node: OnnxNode,
  name: string,
  kind: K,
): Extract<OnnxAttribute, { kind: K }> | undefined {
  const attribute = node.attributes.get(name);
  if (attribute === undefined) return undefined;
  if (attribute.kind !== kind) {
    throw unsound(
      `attribute ${quoted(name)} of node ${quoted(node.name)} is a ${attribute.kind}, not a ${kind}`,
    );
  }
  return attribute as Extract<OnnxAttribute, { kind: K }>;
}

/** @returns an integer attribute, or `fallback` (the operator's default) if the node omits it. */
export function intAttribute(node: OnnxNode, name: string, fallback: number): number {
  const attribute = attributeOf(node, name, 'int');
  return attribute === undefined ? fallback : Number(attribute.value);
}

/** @returns a float attribute, or `fallback` if the node omits it. */
export function floatAttribute(node: OnnxNode, name: string, fallback: number): number {
  return attributeOf(node, name, 'float')?.value ?? fallback;
}

/** @returns an attribute of several integers, or undefined if the node omits it. */
export function intsAttribute(node: OnnxNode, name: string): readonly number[] | undefined {
  return attributeOf(node, name, 'ints')?.value.map(Number);
}

/** @returns every name that a node reads: its inputs, and names of the enclosing graph that its subgraphs read. */
export function namesRead(node: OnnxNode): readonly string[] {
  const names = node.inputs.filter((name) => name !== '');
  for (const attribute of node.attributes.values()) {
    if (attribute.kind === 'graph') names.push(...namesCaptured(attribute.value));
    if (attribute.kind === 'graphs') names.push(...attribute.value.flatMap(namesCaptured));
  }
  return names;
}

function namesCaptured(graph: OnnxGraph): string[] {
  const own = new Set([...graph.initializers.keys(), ...graph.inputs.map((input) => input.name)]);
  for (const node of graph.nodes) for (const output of node.outputs) own.add(output);
  const read = [...graph.nodes.flatMap(namesRead), ...graph.outputs.map((output) => output.name)];
  return read.filter((name) => !own.has(name));
}
