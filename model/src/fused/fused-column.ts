import type { GraphBuilder } from '../onnx/graph-builder.ts';
import { float64Tensor, type OnnxTensor } from '../onnx/tensor.ts';

/** The domain of ONNX's own operators for classical models; part of the standard. */
export const ML_DOMAIN = 'ai.onnx.ml';
/** ONNX Runtime's own operators, used only where the standard has none. */
export const RUNTIME_DOMAIN = 'com.microsoft';

export { ABSENT_TEXT } from './absent-text.ts';

/**
 * A value between the raw field and the columns of the network: number is float64[M, width], finite is float32[M, width] that a
 * network takes as it is, text is text[M, 1]. M is the number of rows, times N for a list of N values.
 */
export interface FusedColumn {
  readonly kind: 'number' | 'finite' | 'text';
  /** Name of the value in the graph. */
  readonly value: string;
  readonly width: number;
}

/** Thrown for a feature that the graph cannot compute; its columns then become an input of the file. */
export class NotFusable extends Error {
  override readonly name = 'NotFusable';
}

/** Adds one float64 constant that is broadcast over all rows. @returns its name. */
export function numberConstant(graph: GraphBuilder, value: number): string {
  return graph.constant('number', float64Tensor([value], [1, 1]));
}

export function textTensor(values: readonly string[], dims: readonly number[]): OnnxTensor {
  return { elementType: 'string', dims, data: values };
}
