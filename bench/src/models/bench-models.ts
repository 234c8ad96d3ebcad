import { GraphBuilder, ints } from '@hotloop/model/onnx/graph-builder.ts';
import { encodeModel } from '@hotloop/model/onnx/model.ts';
import { type PerceptronShape, perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { float32Tensor, int64Tensor, type OnnxTensor } from '@hotloop/model/onnx/tensor.ts';

/** A model for measurements, with one float32 input, `[N, ...row]`, and one output with one number per row. */
export interface BenchModel {
  readonly name: string;
  readonly onnx: Uint8Array;
  /** Name of the input. */
  readonly input: string;
  /** Dimensions of a row. */
  readonly row: readonly number[];
}

export const PERCEPTRONS = {
  small: { inputs: 32, hidden: [64, 32] },
  medium: { inputs: 128, hidden: [512, 256] },
  large: { inputs: 512, hidden: [2048, 1024] },
} as const;
export type PerceptronName = keyof typeof PERCEPTRONS;

/** 32-64-32-1 (small), 128-512-256-1 (medium) or 512-2048-1024-1 (large). Another seed gives another version. */
export function benchPerceptron(name: PerceptronName, seed = 1): BenchModel {
  const { inputs, hidden } = PERCEPTRONS[name];
  const shape: PerceptronShape = { inputs, hidden, outputs: 1, activation: 'relu', head: 'sigmoid', seed };
  return { name, onnx: perceptron(shape), input: 'input', row: [inputs] };
}

export interface ConvolutionShape {
  /** Side length of the image. */
  readonly side: number;
  readonly channels: number;
  /** 3x3 convolutions, each followed by a relu, before the mean over the image and one dense layer. */
  readonly layers: number;
}

/** About 110,000 multiplications per image and layer: the convolutional network of the benchmarks. */
export const SMALL_CONVOLUTION: ConvolutionShape = { side: 16, channels: 8, layers: 3 };

/** A convolutional network: input `image` float32[N, 1, side, side], output `value` float32[N, 1]. */
export function benchConvolution(name: string, shape: ConvolutionShape): BenchModel {
  const { side, channels, layers } = shape;
  const random = new SeededRandom(1);
  const graph = new GraphBuilder();
  let value = graph.input('image', 'float32', ['N', 1, side, side]);
  for (let layer = 1; layer <= layers; layer++) {
    const from = layer === 1 ? 1 : channels;
    const weight = graph.initializer(`weight_${layer}`, drawn(random, [channels, from, 3, 3], from * 9));
    const bias = graph.initializer(`bias_${layer}`, float32Tensor(new Float32Array(channels)));
    value = graph.node('Conv', [value, weight, bias], {
      kernel_shape: ints([3, 3]),
      pads: ints([1, 1, 1, 1]),
    });
    value = graph.node('Relu', [value]);
  }
  value = graph.node('GlobalAveragePool', [value]);
  const flat = graph.initializer('flat', int64Tensor([-1, channels]));
  value = graph.node('Reshape', [value, flat]);
  const dense = graph.initializer('dense', drawn(random, [channels, 1], channels));
  graph.node('MatMul', [value, dense], {}, { outputs: ['value'] });
  graph.output('value', 'float32', ['N', 1]);
  return { name, onnx: encodeModel(graph.build(name)), input: 'image', row: [1, side, side] };
}

/** Normal values with variance 2 / fan in, as in He et al. 2015. */
function drawn(random: SeededRandom, dims: readonly number[], fanIn: number): OnnxTensor {
  const length = dims.reduce((product, dimension) => product * dimension, 1);
  const deviation = Math.sqrt(2 / fanIn);
  return float32Tensor(
    Float32Array.from({ length }, () => random.normal() * deviation),
    dims,
  );
}

/** Elements of one row. */
export function rowElements(model: Pick<BenchModel, 'row'>): number {
  return model.row.reduce((product, dimension) => product * dimension, 1);
}

/** Rows of numbers between -1 and 1, always the same. */
export function benchRows(model: Pick<BenchModel, 'row'>, rows: number): Float32Array<ArrayBuffer> {
  const length = rows * rowElements(model);
  const values = new Float32Array(length);
  for (let index = 0; index < length; index++) values[index] = Math.sin(index * 12.9898);
  return values;
}
