import { HotloopError } from '@hotloop/proto/errors.ts';
import { compileFeatures } from '../features/compile-feature.ts';
import type { Feature } from '../features/feature-schema.ts';
import { layOut } from '../features/input-layout.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { GraphBuilder, int } from '../onnx/graph-builder.ts';
import type { NetworkKind } from '../onnx/initial-networks.ts';
import { encodeModel } from '../onnx/model.ts';
import { SeededRandom } from '../onnx/seeded-random.ts';
import { elementCount, float32Tensor, int64Tensor } from '../onnx/tensor.ts';
import { trainableTask } from './trainable-task.ts';
import { trainingSpec } from './training-settings.ts';

/**
 * A part of a model's inputs that a network reads: numbers side by side [N, width], or one index [N] into a table of
 * `vocabulary` rows.
 */
type Piece =
  | { readonly kind: 'numbers'; readonly value: string; readonly width: number }
  | { readonly kind: 'index'; readonly value: string; readonly vocabulary: number };

type Side = 'user' | 'item';

/** Standard deviation of untrained embeddings, as in Keras. */
const EMBEDDING_DEVIATION = 0.05;
/** An embedding with more cells is a mistake in `buckets`. */
const MOST_CELLS = 100_000_000;

/**
 * Creates the untrained network that `training.network` declares, from the features: one ONNX input for each that
 * they feed. Features with `id` (or `hash` and an integer dtype) get an embedding of `factors` values, or of one
 * value in a linear part. In `two-tower`, features that differ between candidates belong to the item, all others to
 * the user. One output [N, 1] `score` or `value`, or [N, classes] `probabilities`. The same manifest gives the same
 * bytes. Throws INVALID_ARGUMENT for inputs that such a network cannot use.
 */
export function featureNetwork(manifest: Manifest): Uint8Array {
  const spec = trainingSpec(manifest);
  const { kind = 'perceptron', factors = 8, hidden = [32, 16], activation = 'relu' } = spec.network ?? {};
  const task = trainableTask(manifest);
  const classes = task === 'multiclass' ? (manifest.decision.labels?.length ?? 0) : 1;
  if (classes !== 1 && kind !== 'logistic' && kind !== 'perceptron')
    throw refused(`training.network: ${kind} has one output, not one per class`);
  if (kind === 'two-tower' && task !== 'ranking')
    throw refused('training.network: two-tower compares a user with candidates; it is for task ranking');
  const network = new FeatureNetwork(manifest, spec.seed, activation);
  const value = WRITERS[kind](network, { hidden, factors, outputs: classes });
  return network.finish(value, task === 'regression' ? 'none' : classes === 1 ? 'sigmoid' : 'softmax');
}

interface Sizes {
  readonly hidden: readonly number[];
  readonly factors: number;
  readonly outputs: number;
}

const WRITERS: Readonly<Record<NetworkKind, (network: FeatureNetwork, sizes: Sizes) => string>> = {
  logistic: (network, { outputs }) => network.linear('linear', network.pieces(), outputs),
  perceptron: (network, { hidden, factors, outputs }) =>
    network.tower('layer', network.pieces(), [...hidden, outputs], factors),
  'wide-and-deep': (network, { hidden, factors }) =>
    network.add([
      network.linear('wide', network.pieces(), 1),
      network.tower('deep', network.pieces(), [...hidden, 1], factors),
    ]),
  'factorization-machine': (network, { factors }) =>
    network.add([network.linear('linear', network.pieces(), 1), network.pairs(network.pieces(), factors)]),
  'two-tower': (network, { hidden, factors }) => {
    const [user, item] = (['user', 'item'] as const).map((side) =>
      network.tower(side, network.pieces(side), [...hidden, factors], factors),
    );
    return network.sumOfProduct(user!, item!);
  },
};

class FeatureNetwork {
  readonly #graph = new GraphBuilder();
  readonly #random: SeededRandom;
  readonly #activation: string;
  readonly #pieces: readonly (Piece & { readonly side: Side })[];

  constructor(manifest: Manifest, seed: number, activation: 'relu' | 'sigmoid' | 'tanh') {
    this.#random = new SeededRandom(seed);
    this.#activation = { relu: 'Relu', sigmoid: 'Sigmoid', tanh: 'Tanh' }[activation];
    this.#pieces = this.#readInputs(manifest, manifest.training?.network?.kind === 'two-tower');
  }

  /** The inputs of one side, or of both. Throws INVALID_ARGUMENT for a side without features. */
  pieces(side?: Side): readonly Piece[] {
    const own = this.#pieces.filter((piece) => side === undefined || piece.side === side);
    if (own.length === 0)
      throw refused(
        `training.network: no feature describes the ${side ?? 'request'}; two-tower needs both sides`,
      );
    return own;
  }

  /** b + x W, where an index adds its own row of a table. [N, to] */
  linear(name: string, pieces: readonly Piece[], to: number): string {
    const parts = pieces.map((piece, place) =>
      piece.kind === 'numbers'
        ? this.#gemm(`${name}_${place}`, piece.value, piece.width, to)
        : this.#embedding(`${name}_${place}`, piece, to),
    );
    if (pieces.some(({ kind }) => kind === 'numbers')) return this.add(parts);
    const bias = this.#graph.initializer(`${name}_bias`, float32Tensor(new Float32Array(to), [1, to]));
    return this.add([...parts, bias]);
  }

  /** Layers of these sizes over numbers and embeddings. */
  tower(name: string, pieces: readonly Piece[], sizes: readonly number[], factors: number): string {
    const [first = 1, ...others] = sizes;
    const parts = pieces.map((piece, place) => {
      const own = `${name}_1_${place}`;
      if (piece.kind === 'numbers') return this.#gemm(own, piece.value, piece.width, first);
      return this.#gemm(own, this.#embedding(own, piece, factors), factors, first);
    });
    let value = this.add(parts);
    let width = first;
    for (const [layer, size] of others.entries()) {
      value = this.#gemm(`${name}_${layer + 2}`, this.#graph.node(this.#activation, [value]), width, size);
      width = size;
    }
    return value;
  }

  /** The products of all pairs, each weighted by the product of two vectors (Rendle 2010). [N, 1] */
  pairs(pieces: readonly Piece[], factors: number): string {
    const square = (value: string) => this.#graph.node('Mul', [value, value]);
    const terms = pieces.map((piece, place) => {
      const name = `factors_${place}`;
      if (piece.kind === 'index') {
        const vector = this.#embedding(name, piece, factors);
        return { sum: vector, squares: square(vector) };
      }
      const vectors = this.#weight(name, [piece.width, factors], EMBEDDING_DEVIATION);
      return {
        sum: this.#graph.node('MatMul', [piece.value, vectors]),
        squares: this.#graph.node('MatMul', [square(piece.value), square(vectors)]),
      };
    });
    const together = square(this.add(terms.map(({ sum }) => sum)));
    const alone = this.add(terms.map(({ squares }) => squares));
    const half = this.#graph.constant('half', float32Tensor([0.5], []));
    return this.#graph.node('Mul', [this.#sum(this.#graph.node('Sub', [together, alone])), half]);
  }

  sumOfProduct(left: string, right: string): string {
    return this.#sum(this.#graph.node('Mul', [left, right]));
  }

  add(values: readonly string[]): string {
    return values.reduce((sum, value) => this.#graph.node('Add', [sum, value]));
  }

  finish(value: string, head: 'none' | 'sigmoid' | 'softmax'): Uint8Array {
    const [operator, output] = HEADS[head];
    const attributes = head === 'softmax' ? { axis: int(-1) } : {};
    this.#graph.node(operator, [value], attributes, { outputs: [output] });
    this.#graph.output(output, 'float32', ['N', head === 'softmax' ? null : 1]);
    return encodeModel(this.#graph.build('feature-network'));
  }

  /** Only a two-tower network has two sides. */
  #readInputs(manifest: Manifest, isDivided: boolean): (Piece & { side: Side })[] {
    const features = compileFeatures(manifest.features, manifest.task === 'ranking');
    const { inputs, placed } = layOut(features);
    return inputs.flatMap(({ name, dtype, width, shape }, index) => {
      const members = features.flatMap((feature, place) =>
        placed[place]?.input === index
          ? [{ feature, ...placed[place], declared: manifest.features[place]! }]
          : [],
      );
      const first = members[0]?.feature.name ?? '';
      if (dtype === 'string')
        throw refused(
          `features.${first}: an untrained network cannot read texts; encode them, for example with {id: {buckets: 10000}}`,
        );
      if (shape !== undefined)
        throw refused(`features.${first}: an untrained network cannot read images; push a model.onnx`);
      const input = this.#graph.input(name ?? manifest.input ?? 'input', dtype, ['N', width]);
      const numbers = new Map<Side, number[]>();
      const pieces: (Piece & { side: Side })[] = [];
      for (const { feature, declared, offset, width: own } of members) {
        const side = isDivided && !feature.shared ? 'item' : 'user';
        const vocabulary = isWhole(dtype) ? vocabularyOf(declared) : null;
        for (let column = offset; column < offset + own; column++)
          if (vocabulary === null) numbers.set(side, [...(numbers.get(side) ?? []), column]);
          else pieces.push({ side, kind: 'index', vocabulary, value: this.#column(input, column, width) });
      }
      for (const [side, columns] of numbers) {
        const picked = columns.length === width ? input : this.#pick(input, columns);
        const value = dtype === 'float32' ? picked : this.#graph.node('Cast', [picked], { to: int(1) });
        pieces.push({ side, kind: 'numbers', width: columns.length, value });
      }
      return pieces;
    });
  }

  /** One column of integers as [N]. */
  #column(input: string, column: number, width: number): string {
    const picked = width === 1 ? input : this.#pick(input, [column]);
    return this.#graph.node('Reshape', [picked, this.#graph.constant('flat', int64Tensor([-1]))]);
  }

  #pick(input: string, columns: readonly number[]): string {
    return this.#graph.node('Gather', [input, this.#graph.constant('columns', int64Tensor(columns))], {
      axis: int(1),
    });
  }

  #embedding(name: string, { value, vocabulary }: Extract<Piece, { kind: 'index' }>, width: number): string {
    if (vocabulary * width > MOST_CELLS)
      throw refused(
        `training.network: an embedding of ${vocabulary} rows of ${width} is too large; use fewer buckets`,
      );
    const table = this.#weight(`${name}_embedding`, [vocabulary, width], EMBEDDING_DEVIATION);
    return this.#graph.node('Gather', [table, value], { axis: int(0) });
  }

  #gemm(name: string, value: string, from: number, to: number): string {
    const weight = this.#weight(`${name}_weight`, [from, to], Math.sqrt(2 / (from + to)));
    const bias = this.#graph.initializer(`${name}_bias`, float32Tensor(new Float32Array(to)));
    return this.#graph.node('Gemm', [value, weight, bias]);
  }

  #weight(name: string, dims: readonly number[], deviation: number): string {
    const values = Float32Array.from({ length: elementCount(dims) }, () => this.#random.normal() * deviation);
    return this.#graph.initializer(name, float32Tensor(values, dims));
  }

  /** [N, K] -> [N, 1] */
  #sum(value: string): string {
    const axes = this.#graph.constant('axes', int64Tensor([1]));
    return this.#graph.node('ReduceSum', [value, axes], { keepdims: int(1) });
  }
}

const HEADS = {
  none: ['Identity', 'value'],
  sigmoid: ['Sigmoid', 'score'],
  softmax: ['Softmax', 'probabilities'],
} as const;

function isWhole(dtype: string): boolean {
  return dtype === 'int64' || dtype === 'int32';
}

/** Number of different indices that a feature can have; null for a feature of numbers. */
function vocabularyOf({ transform }: Feature): number | null {
  const last = transform.at(-1);
  if (typeof last !== 'object') return null;
  if ('id' in last) return 'buckets' in last.id ? last.id.buckets : last.id.values.length + 1;
  if ('hash' in last) return typeof last.hash === 'number' ? last.hash : last.hash.buckets;
  return null;
}

function refused(problem: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', problem, { reason: 'invalid_manifest' });
}
