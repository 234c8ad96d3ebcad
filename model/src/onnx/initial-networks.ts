import { type GraphBuilder as Builder, GraphBuilder, int } from './graph-builder.ts';
import { encodeModel } from './model.ts';
import { type Activation, perceptron } from './perceptron.ts';
import { SeededRandom } from './seeded-random.ts';
import { elementCount, float32Tensor, int64Tensor } from './tensor.ts';

/** The kinds of untrained networks. */
export const NETWORK_KINDS = [
  'logistic',
  'perceptron',
  'wide-and-deep',
  'factorization-machine',
  'two-tower',
] as const;
export type NetworkKind = (typeof NETWORK_KINDS)[number];

export interface NetworkShape {
  readonly kind: NetworkKind;
  /** Number of input columns. */
  readonly inputs: number;
  /** `two-tower`: the first columns that describe the user; the others describe the item. */
  readonly userInputs: number;
  /** Sizes of the hidden layers of perceptron, wide-and-deep and each tower. */
  readonly hidden: readonly number[];
  readonly activation: Activation;
  /** Length of the vectors of factorization-machine and two-tower. */
  readonly factors: number;
  /** `sigmoid` gives a probability `score`, `none` a number `value`. */
  readonly head: 'sigmoid' | 'none';
  /** Determines the weights: the same seed gives the same bytes. */
  readonly seed: number;
}

/**
 * Creates an untrained network as ONNX bytes: input `input` float32[N, inputs], one output [N, 1].
 *
 * wide-and-deep: the sum of a linear model and a perceptron over the same columns (Cheng et al. 2016).
 * factorization-machine: b + x w + (sum over factors of (x V)^2 - x^2 V^2) / 2 (Rendle 2010). two-tower: the product
 * of a user vector and an item vector, each from a perceptron over its own columns (Covington et al. 2016).
 */
export function initialNetwork(shape: NetworkShape): Uint8Array {
  const { kind, inputs, head, hidden, activation, seed } = shape;
  if (kind === 'logistic') return perceptron({ inputs, hidden: [], outputs: 1, activation, head, seed });
  if (kind === 'perceptron') return perceptron({ inputs, hidden, outputs: 1, activation, head, seed });
  const parts = new NetworkParts(shape);
  const input = parts.graph.input('input', 'float32', ['N', inputs]);
  const value = writers[kind](parts, input, shape);
  const output = head === 'sigmoid' ? 'score' : 'value';
  parts.graph.node(head === 'sigmoid' ? 'Sigmoid' : 'Identity', [value], {}, { outputs: [output] });
  parts.graph.output(output, 'float32', ['N', 1]);
  return encodeModel(parts.graph.build(kind));
}

type Writer = (parts: NetworkParts, input: string, shape: NetworkShape) => string;

const writers: Readonly<Record<Exclude<NetworkKind, 'logistic' | 'perceptron'>, Writer>> = {
  'wide-and-deep': (parts, input, { inputs, hidden }) => {
    const wide = parts.linear('wide', input, inputs, 1);
    const deep = parts.layers('deep', input, [inputs, ...hidden, 1]);
    return parts.graph.node('Add', [wide, deep]);
  },
  'factorization-machine': (parts, input, { inputs, factors }) => {
    const { graph } = parts;
    const first = parts.linear('linear', input, inputs, 1);
    const vectors = parts.weight('factors', [inputs, factors], 0.05);
    const square = (value: string) => graph.node('Mul', [value, value]);
    const together = square(graph.node('MatMul', [input, vectors]));
    const alone = graph.node('MatMul', [square(input), square(vectors)]);
    const pairs = parts.sum(graph.node('Sub', [together, alone]));
    const half = graph.node('Constant', [], { value: { kind: 'tensor', value: float32Tensor([0.5], []) } });
    return graph.node('Add', [first, graph.node('Mul', [pairs, half])]);
  },
  'two-tower': (parts, input, { inputs, userInputs, hidden, factors }) => {
    const { graph } = parts;
    const sizes = graph.constant('sizes', int64Tensor([userInputs, inputs - userInputs]));
    const [user, item] = graph.nodeOf('Split', [input, sizes], 2, { axis: int(1) }) as [string, string];
    const userVector = parts.layers('user', user, [userInputs, ...hidden, factors]);
    const itemVector = parts.layers('item', item, [inputs - userInputs, ...hidden, factors]);
    return parts.sum(graph.node('Mul', [userVector, itemVector]));
  },
};

class NetworkParts {
  readonly graph: Builder = new GraphBuilder();
  readonly #random: SeededRandom;
  readonly #activation: string;

  constructor({ seed, activation }: NetworkShape) {
    this.#random = new SeededRandom(seed);
    this.#activation = { relu: 'Relu', sigmoid: 'Sigmoid', tanh: 'Tanh' }[activation];
  }

  weight(name: string, dims: readonly number[], deviation: number): string {
    const values = Float32Array.from({ length: elementCount(dims) }, () => this.#random.normal() * deviation);
    return this.graph.initializer(name, float32Tensor(values, dims));
  }

  linear(name: string, value: string, from: number, to: number): string {
    const weight = this.weight(`${name}_weight`, [from, to], Math.sqrt(2 / (from + to)));
    const bias = this.graph.initializer(`${name}_bias`, float32Tensor(new Float32Array(to)));
    return this.graph.node('Gemm', [value, weight, bias]);
  }

  layers(name: string, value: string, sizes: readonly number[]): string {
    let result = value;
    for (let layer = 1; layer < sizes.length; layer++) {
      result = this.linear(`${name}_${layer}`, result, sizes[layer - 1]!, sizes[layer]!);
      if (layer < sizes.length - 1) result = this.graph.node(this.#activation, [result]);
    }
    return result;
  }

  /** Sums rows: [N, K] -> [N, 1]. */
  sum(value: string): string {
    return this.graph.node('ReduceSum', [value, this.graph.constant('axes', int64Tensor([1]))], {
      keepdims: int(1),
    });
  }
}
