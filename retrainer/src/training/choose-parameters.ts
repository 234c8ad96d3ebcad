import type { OnnxGraph, OnnxNode } from '@hotloop/model/onnx/model.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import type { Trainable } from '@hotloop/model/training/training-settings.ts';
import { steeringInputs } from './gradients/gradient-rules.ts';

/**
 * Chooses the initializers to train among those of the graph's floating point type that the given nodes read.
 *
 * @param nodes the nodes between the model's inputs and the loss, in topological order.
 * @param target the value the loss reads.
 * @returns their names, in the order of the file.
 * @throws a coded error for a name that is no such initializer, or when nothing is left to train.
 */
export function chooseParameters(
  graph: OnnxGraph,
  nodes: readonly OnnxNode[],
  target: string,
  trainable: Trainable,
  elementType: 'float32' | 'float64',
): readonly string[] {
  const used = new Set([target, ...nodes.flatMap(weightInputs)]);
  const candidates = [...graph.initializers]
    .filter(
      ([name, tensor]) => tensor.elementType === elementType && tensor.data.length > 0 && used.has(name),
    )
    .map(([name]) => name);

  // Exporters write a graph's own numbers (a scale, an epsilon) as scalars. They are trained only when named.
  const isWeight = (name: string) => graph.initializers.get(name)!.dims.length > 0;
  if (trainable === 'all') return refuseNone(candidates.filter(isWeight));
  if ('last' in trainable) {
    const allowed = new Set(lastLayers(nodes, trainable.last).flatMap(weightInputs));
    return refuseNone(candidates.filter((name) => isWeight(name) && allowed.has(name)));
  }
  for (const name of trainable) {
    if (candidates.includes(name)) continue;
    throw unsound(
      `training.trainable names ${quoted(name)}, which is no ${elementType} weight that the output depends on; ` +
        `the model's are: ${candidates.slice(0, 20).map(quoted).join(', ') || 'none'}`,
    );
  }
  return refuseNone(candidates.filter((name) => trainable.includes(name)));
}

function refuseNone(names: readonly string[]): readonly string[] {
  if (names.length > 0) return names;
  throw unsound('the model has no weights to train: no floating point initializer reaches the output');
}

function weightInputs(node: OnnxNode): readonly string[] {
  const steering = (steeringInputs as Record<string, readonly number[] | undefined>)[node.operator] ?? [];
  return node.inputs.filter((_, index) => !steering.includes(index));
}

const layerOperators = new Set(['Conv', 'ConvTranspose', 'GRU', 'Gemm', 'LSTM', 'MatMul']);

function lastLayers(nodes: readonly OnnxNode[], count: number): readonly OnnxNode[] {
  const products = [...nodes.keys()].filter((i) => layerOperators.has(nodes[i]!.operator));
  return nodes.slice(products.at(-Math.max(1, count)) ?? 0);
}
