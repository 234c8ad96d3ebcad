import { GraphBuilder, int, tensor } from './graph-builder.ts';
import { encodeModel } from './model.ts';
import { SeededRandom } from './seeded-random.ts';
import { float32Tensor, type OnnxTensor } from './tensor.ts';

export type Activation = 'relu' | 'sigmoid' | 'tanh';

/**
 * The output of the last layer: `sigmoid` gives output `score` float32[N, outputs]; `softmax` gives `probabilities`
 * float32[N, outputs], rows summing to 1; `none` gives `value` float32[N, outputs].
 */
export type Head = 'sigmoid' | 'softmax' | 'none';

export interface PerceptronShape {
  readonly inputs: number;
  /** Sizes of the hidden layers, first to last; empty for a linear model. */
  readonly hidden: readonly number[];
  readonly outputs: number;
  readonly activation: Activation;
  readonly head: Head;
  /** Determines the weights: the same seed gives the same bytes. */
  readonly seed: number;
  /**
   * If given, inputs are first transformed to (x - mean) / std. Constants that are never trained. One value per
   * input.
   */
  readonly normalization?: { readonly mean: readonly number[]; readonly std: readonly number[] };
}

const heads = {
  sigmoid: { operator: 'Sigmoid', output: 'score' },
  softmax: { operator: 'Softmax', output: 'probabilities' },
  none: { operator: 'Identity', output: 'value' },
} as const satisfies Record<Head, { operator: string; output: string }>;

const activations = { relu: 'Relu', sigmoid: 'Sigmoid', tanh: 'Tanh' } as const satisfies Record<
  Activation,
  string
>;

/**
 * Builds a fully connected network as ONNX bytes: input `input` float32[N, inputs], then layers `weight_1`, `bias_1`,
 * ... Weights before a relu are initialized as in He et al. 2015 (normal, variance 2 / fan in), others as in Glorot
 * and Bengio 2010 (normal, variance 2 / (fan in + fan out)); biases are 0.
 */
export function perceptron(shape: PerceptronShape): Uint8Array {
  const random = new SeededRandom(shape.seed);
  const graph = new GraphBuilder();
  let value = graph.input('input', 'float32', ['N', shape.inputs]);
  if (shape.normalization) value = normalize(graph, value, shape.normalization, shape.inputs);

  const sizes = [shape.inputs, ...shape.hidden, shape.outputs];
  for (let layer = 1; layer < sizes.length; layer++) {
    const [fanIn, fanOut] = [sizes[layer - 1]!, sizes[layer]!];
    const isLast = layer === sizes.length - 1;
    const variance = !isLast && shape.activation === 'relu' ? 2 / fanIn : 2 / (fanIn + fanOut);
    const weight = graph.initializer(`weight_${layer}`, drawn(random, [fanIn, fanOut], Math.sqrt(variance)));
    const bias = graph.initializer(`bias_${layer}`, float32Tensor(new Float32Array(fanOut)));
    value = graph.node(
      'Gemm',
      [value, weight, bias],
      {},
      { name: `layer_${layer}`, outputs: [`layer_${layer}`] },
    );
    if (isLast) continue;
    const name = `activation_${layer}`;
    value = graph.node(activations[shape.activation], [value], {}, { name, outputs: [name] });
  }

  const { operator, output } = heads[shape.head];
  const attributes = shape.head === 'softmax' ? { axis: int(-1) } : {};
  graph.node(operator, [value], attributes, { name: 'head', outputs: [output] });
  graph.output(output, 'float32', ['N', shape.outputs]);
  return encodeModel(graph.build('perceptron'));
}

function drawn(random: SeededRandom, dims: readonly [number, number], deviation: number): OnnxTensor {
  return float32Tensor(
    Float32Array.from({ length: dims[0] * dims[1] }, () => random.normal() * deviation),
    dims,
  );
}

function normalize(
  graph: GraphBuilder,
  value: string,
  { mean, std }: { mean: readonly number[]; std: readonly number[] },
  inputs: number,
): string {
  if (mean.length !== inputs || std.length !== inputs) {
    throw new RangeError(
      `normalization needs ${inputs} means and deviations, not ${mean.length} and ${std.length}`,
    );
  }
  // These constants are nodes and not initializers, because "train everything" must not train them.
  const constant = (name: string, values: readonly number[]) =>
    graph.node('Constant', [], { value: tensor(float32Tensor(values)) }, { name, outputs: [name] });
  const centred = graph.node('Sub', [value, constant('input_mean', mean)]);
  return graph.node('Div', [centred, constant('input_std', std)]);
}
