import { GraphBuilder } from '@hotloop/model/onnx/graph-builder.ts';
import { encodeModel } from '@hotloop/model/onnx/model.ts';
import { float32Tensor } from '@hotloop/model/onnx/tensor.ts';

export const DRILL_MODEL = 'drilled';

/** score = sigmoid(weight * x + bias), over the request's field x. Another bias gives another version. */
export function linearScore(weight: number, bias: number): Uint8Array {
  const graph = new GraphBuilder();
  const input = graph.input('input', 'float32', ['N', 1]);
  const weights = graph.initializer('weight', float32Tensor(Float32Array.of(weight), [1, 1]));
  const biases = graph.initializer('bias', float32Tensor(Float32Array.of(bias)));
  const sum = graph.node('Gemm', [input, weights, biases]);
  graph.node('Sigmoid', [sum], {}, { outputs: ['score'] });
  graph.output('score', 'float32', ['N', 1]);
  return encodeModel(graph.build('linear'));
}

/** A binary model over x, with additional lines of model.yaml. */
export function drillManifest(rest: string): string {
  return `name: ${DRILL_MODEL}\ntask: binary\nfeatures:\n  - {name: x, from: request.x}\n${rest}`;
}
