import type { OnnxAttribute, OnnxModel, OnnxNode } from '@hotloop/model/onnx/model.ts';
import { type ElementType, elementTypeCode, type OnnxTensor } from '@hotloop/model/onnx/tensor.ts';
import { constantOf } from './infer-shapes.ts';

/**
 * Rewrites a float32 model to compute in float64: inputs, outputs, weights, constants and casts. Used where a
 * gradient is to be checked more finely than float32 allows.
 */
export function widenModel(model: OnnxModel): OnnxModel {
  const { graph } = model;
  const widenValue = <T extends { elementType: ElementType }>(value: T): T =>
    value.elementType === 'float32' ? { ...value, elementType: 'float64' } : value;
  return {
    ...model,
    graph: {
      ...graph,
      inputs: graph.inputs.map(widenValue),
      outputs: graph.outputs.map(widenValue),
      initializers: new Map([...graph.initializers].map(([name, tensor]) => [name, widenTensor(tensor)])),
      nodes: graph.nodes.map(widenNode),
    },
  };
}

function widenTensor(tensor: OnnxTensor): OnnxTensor {
  if (tensor.elementType !== 'float32') return tensor;
  return { elementType: 'float64', dims: tensor.dims, data: Float64Array.from(tensor.data as Float32Array) };
}

function widenNode(node: OnnxNode): OnnxNode {
  const constant = constantOf(node);
  if (constant)
    return { ...node, attributes: new Map([['value', { kind: 'tensor', value: widenTensor(constant) }]]) };
  const to = node.attributes.get('to');
  const isCastToFloat32 = to?.kind === 'int' && to.value === BigInt(elementTypeCode('float32'));
  if (node.operator !== 'Cast' || !isCastToFloat32) return node;
  const widened: OnnxAttribute = { kind: 'int', value: BigInt(elementTypeCode('float64')) };
  return { ...node, attributes: new Map([...node.attributes, ['to', widened]]) };
}
