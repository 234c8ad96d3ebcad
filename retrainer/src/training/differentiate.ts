import type { OnnxNode } from '@hotloop/model/onnx/model.ts';
import { namesRead } from '@hotloop/model/onnx/node-attributes.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import type { GradientRule, GradientWriter } from './gradient-writer.ts';
import { gradientRuleOf, manyOutputs } from './gradients/gradient-rules.ts';
import { stopsGradient } from './gradients/stops-gradient.ts';

export interface Differentiation {
  /** The forward nodes, in topological order. */
  readonly nodes: readonly OnnxNode[];
  readonly writer: GradientWriter;
  /** Where the loss was taken: the gradient of the loss by these values is known already. */
  readonly seeds: ReadonlyMap<string, string>;
  /** The values by which the loss is differentiated. */
  readonly wanted: ReadonlySet<string>;
  /** The rule of an operator; tests put a wrong one here to see it caught. */
  readonly ruleOf?: (domain: string, operator: string) => GradientRule | undefined;
}

/**
 * Reverse-mode differentiation: walks the nodes backwards from the loss and writes, for every node between a wanted
 * value and the loss, the gradients of its inputs from the gradient of its output. Where a value is read more than
 * once, its gradients add up.
 *
 * @returns the name of the gradient by each wanted value; a value the loss does not depend on has none.
 * @throws a coded error naming the node when one on the way has no rule.
 */
export function differentiate({
  nodes,
  writer,
  seeds,
  wanted,
  ruleOf = gradientRuleOf,
}: Differentiation): ReadonlyMap<string, string> {
  const dependent = dependentValues(nodes, wanted);
  const gradients = new Map(seeds);
  const contribute = (name: string, gradient: string) => {
    const before = gradients.get(name);
    gradients.set(name, before === undefined ? gradient : writer.op('Add', [before, gradient]));
  };

  for (const node of nodes.toReversed()) {
    const reached = node.outputs.filter((output) => gradients.has(output));
    if (reached.length === 0 || !namesRead(node).some((name) => dependent.has(name))) continue;
    const rule = ruleOf(node.domain, node.operator);
    const isMany = node.domain === '' && manyOutputs.has(node.operator);
    if (!rule || (!isMany && reached.some((output) => output !== node.outputs[0]))) throw noRule(node);
    const byInput = rule({
      node,
      writer,
      gradient: gradients.get(node.outputs[0]!) ?? '',
      gradients: node.outputs.map((output) => gradients.get(output) ?? null),
      needs: (input) => dependent.has(node.inputs[input] ?? ''),
    });
    for (const [index, gradient] of byInput.entries()) {
      const input = node.inputs[index] ?? '';
      if (gradient !== null && dependent.has(input)) contribute(input, gradient);
    }
  }
  return new Map([...gradients].filter(([name]) => wanted.has(name)));
}

/** @returns the wanted values and everything that changes smoothly with them. */
function dependentValues(nodes: readonly OnnxNode[], wanted: ReadonlySet<string>): ReadonlySet<string> {
  const dependent = new Set(wanted);
  for (const node of nodes) {
    if (stopsGradient(node) || !namesRead(node).some((name) => dependent.has(name))) continue;
    for (const output of node.outputs) if (output !== '') dependent.add(output);
  }
  return dependent;
}

function noRule(node: OnnxNode): Error {
  const operator = node.domain === '' ? node.operator : `${node.domain}:${node.operator}`;
  return unsound(
    `cannot train through node ${quoted(node.name || node.outputs[0]!)} of type ${quoted(operator)}: it has no gradient ` +
      'rule; train only the weights behind it, by naming them in training.trainable',
  );
}
