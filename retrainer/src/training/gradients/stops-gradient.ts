import type { OnnxNode } from '@hotloop/model/onnx/model.ts';
import { intAttribute } from '@hotloop/model/onnx/node-attributes.ts';
import { elementTypeCode } from '@hotloop/model/onnx/tensor.ts';

/**
 * Operators whose output does not change with small changes of their inputs, or only in steps: shapes, comparisons,
 * choices, roundings. No gradient goes back through them, as in every training framework.
 */
const steps: ReadonlySet<string> = new Set([
  'And',
  'ArgMax',
  'ArgMin',
  'Ceil',
  'ConstantOfShape',
  'Equal',
  'EyeLike',
  'Floor',
  'Greater',
  'GreaterOrEqual',
  'IsInf',
  'IsNaN',
  'Less',
  'LessOrEqual',
  'NonZero',
  'Not',
  'Or',
  'Round',
  'Shape',
  'Sign',
  'Size',
  'Xor',
]);

const floats = new Set((['float32', 'float64', 'float16'] as const).map(elementTypeCode));

/** @returns whether a node's outputs pass no gradient on to its inputs. */
export function stopsGradient(node: OnnxNode): boolean {
  if (node.domain !== '') return false;
  if (node.operator === 'Cast') return !floats.has(intAttribute(node, 'to', 0));
  return steps.has(node.operator);
}
