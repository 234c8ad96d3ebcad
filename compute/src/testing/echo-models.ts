import { GraphBuilder } from '@hotloop/model/onnx/graph-builder.ts';
import { encodeModel } from '@hotloop/model/onnx/model.ts';
import type { ElementType } from '@hotloop/model/onnx/tensor.ts';

export interface EchoTensor {
  readonly name: string;
  readonly elementType: ElementType;
  readonly shape: readonly (number | string)[];
}

/** A model that returns each input as `NAME_out`. */
export function echoModel(tensors: readonly EchoTensor[]): Uint8Array {
  const graph = new GraphBuilder();
  for (const { name, elementType, shape } of tensors) {
    graph.input(name, elementType, shape);
    graph.node('Identity', [name], {}, { name: `echo_${name}`, outputs: [`${name}_out`] });
    graph.output(`${name}_out`, elementType, shape);
  }
  return encodeModel(graph.build('echo'));
}

export function tensorManifest(name: string, extra = ''): string {
  return `name: ${name}\ntask: tensor\n${extra}`;
}
