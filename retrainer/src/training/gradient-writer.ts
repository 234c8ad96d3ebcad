import { type Attributes, type GraphBuilder, int, tensor } from '@hotloop/model/onnx/graph-builder.ts';
import type { OnnxNode } from '@hotloop/model/onnx/model.ts';
import { float32Tensor, float64Tensor, int64Tensor, type OnnxTensor } from '@hotloop/model/onnx/tensor.ts';
import type { Shape } from './infer-shapes.ts';

/** The floating point type a training graph computes in. */
export type FloatType = 'float32' | 'float64';

/** @returns a tensor of the given floating point type; a missing `dims` means a vector. */
export function floatTensor(
  type: FloatType,
  values: ArrayLike<number>,
  dims?: readonly number[],
): OnnxTensor {
  return type === 'float64' ? float64Tensor(values, dims) : float32Tensor(values, dims);
}

/**
 * Writes the nodes of gradients: a graph builder that knows the shapes and constants of the forward graph, and that
 * makes each constant and each `Shape` once.
 */
export class GradientWriter {
  readonly floatType: FloatType;
  readonly opset: number;
  readonly #graph: GraphBuilder;
  readonly #shapes: ReadonlyMap<string, Shape>;
  readonly #constants: ReadonlyMap<string, OnnxTensor>;
  readonly #made = new Map<string, string>();

  constructor(
    graph: GraphBuilder,
    known: {
      floatType: FloatType;
      opset: number;
      shapes: ReadonlyMap<string, Shape>;
      constants: ReadonlyMap<string, OnnxTensor>;
    },
  ) {
    this.#graph = graph;
    this.floatType = known.floatType;
    this.opset = known.opset;
    this.#shapes = known.shapes;
    this.#constants = known.constants;
  }

  /** Writes one node. @returns the name of its output. */
  op(operator: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.#graph.node(operator, inputs, attributes);
  }

  /** Writes one node with several outputs. @returns their names. */
  opOf(
    operator: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Attributes = {},
  ): readonly string[] {
    return this.#graph.nodeOf(operator, inputs, outputs, attributes);
  }

  /** @returns output `position` of the forward node that gives `first`; the node is made to give it where it did not. */
  outputOf(first: string, position: number): string {
    return this.#graph.outputOf(first, position);
  }

  /** @returns a name that nothing in the graph has yet, for the inside of a subgraph. */
  uniqueName(stem: string): string {
    return this.#graph.uniqueName(stem);
  }

  /** @returns zeros in the shape that a value has when the graph runs. */
  zerosLike(value: string): string {
    return this.#once(`zeros ${value}`, () => this.zeros(this.shapeTensor(value)));
  }

  /** @returns zeros of a shape that is a value in the graph. */
  zeros(shape: string): string {
    return this.op('ConstantOfShape', [shape], { value: tensor(floatTensor(this.floatType, [0], [1])) });
  }

  /** @returns the numbers 0, 1, ... of a value's elements in row-major order, in the value's shape: int64. */
  elementNumbers(value: string): string {
    return this.#once(`numbers ${value}`, () => {
      const count = this.op('Size', [value]);
      const flat = this.op('Range', [this.scalarInteger(0), count, this.scalarInteger(1)]);
      return this.reshapeLike(flat, value);
    });
  }

  /** Adds a gradient up at element numbers of `like`. @returns it in the shape of `like`; elements not named are 0. */
  scatterTo(like: string, numbers: string, gradient: string): string {
    const flat = (value: string) => this.op('Reshape', [value, this.integers([-1])]);
    const empty = this.zeros(this.op('Reshape', [this.op('Size', [like]), this.integers([1])]));
    const sums = this.op('ScatterElements', [empty, flat(numbers), flat(gradient)], {
      axis: int(0),
      reduction: { kind: 'string', value: 'add' },
    });
    return this.reshapeLike(sums, like);
  }

  /** @returns the static shape of a forward value, where it is known. */
  shapeOf(name: string): Shape | undefined {
    return this.#shapes.get(name);
  }

  /** @returns the value of a forward initializer or constant. */
  constantOf(name: string): OnnxTensor | undefined {
    return this.#constants.get(name);
  }

  /** @returns a scalar of the graph's floating point type. */
  scalar(value: number): string {
    return this.#once(`scalar ${value}`, () =>
      this.#graph.constant('scalar', floatTensor(this.floatType, [value], [])),
    );
  }

  /** Writes a constant under an invented name. @returns that name. */
  constant(stem: string, value: OnnxTensor): string {
    return this.#graph.constant(stem, value);
  }

  /** @returns a float64 scalar, whatever type the graph computes in. */
  double(value: number): string {
    return this.#once(`double ${value}`, () => this.#graph.constant('double', float64Tensor([value], [])));
  }

  /** @returns a vector of 64-bit integers. */
  integers(values: readonly number[]): string {
    return this.#once(`integers ${values}`, () => this.#graph.constant('integers', int64Tensor(values)));
  }

  /** @returns one 64-bit integer, of rank 0. */
  scalarInteger(value: number): string {
    return this.#once(`integer ${value}`, () => this.#graph.constant('integer', int64Tensor([value], [])));
  }

  /** @returns the shape of a value as the graph finds it when it runs. */
  shapeTensor(name: string): string {
    return this.#once(`shape ${name}`, () => this.op('Shape', [name]));
  }

  /** Sums over axes, which stay with size 1 when `keep` is set. */
  sum(value: string, axes: readonly number[], keep: boolean): string {
    return this.op('ReduceSum', [value, this.integers(axes)], { keepdims: int(keep ? 1 : 0) });
  }

  /** Puts vectors one after another. */
  concat(values: readonly string[]): string {
    return this.op('Concat', values, { axis: int(0) });
  }

  /** Gives a value the shape that `like` has when the graph runs. */
  reshapeLike(value: string, like: string): string {
    return this.op('Reshape', [value, this.shapeTensor(like)]);
  }

  /**
   * Undoes a broadcast: sums `gradient`, which has the shape of the value `result`, over the axes along which
   * `operand` was repeated.
   */
  reduceTo(gradient: string, result: string, operand: string): string {
    const from = this.shapeOf(result);
    const to = this.shapeOf(operand);
    const axes = from && to && broadcastAxes(from, to);
    if (!axes) return this.reduceWhenRun(gradient, operand);
    if (axes.length === 0) return gradient;
    const lead = from.length - to.length;
    // Only leading axes vanish: one sum does it. Kept axes of size 1 need the operand's shape back.
    if (axes.length === lead) return this.sum(gradient, axes, false);
    const summed = this.sum(gradient, axes, true);
    return lead === 0 ? summed : this.reshapeLike(summed, operand);
  }

  /** The same where shapes are only known when the graph runs. Summing an axis of size 1 changes nothing. */
  reduceWhenRun(gradient: string, operand: string): string {
    const target = this.shapeTensor(operand);
    const lead = this.op('Sub', [this.#rankOf(gradient), this.#rankOf(operand)]);
    const ones = this.op('ConstantOfShape', [lead], { value: tensor(int64Tensor([1])) });
    const padded = this.op('Concat', [ones, target], { axis: int(0) });
    const isOne = this.op('Equal', [padded, this.integers([1])]);
    const axes = this.op('Reshape', [this.op('NonZero', [isOne]), this.integers([-1])]);
    const attributes = { keepdims: int(1), noop_with_empty_axes: int(1) };
    return this.op('Reshape', [this.op('ReduceSum', [gradient, axes], attributes), target]);
  }

  /** @returns the rank of a value when the graph runs, as a vector of one integer. */
  #rankOf(name: string): string {
    return this.op('Shape', [this.shapeTensor(name)]);
  }

  #once(key: string, make: () => string): string {
    const made = this.#made.get(key) ?? make();
    this.#made.set(key, made);
    return made;
  }
}

/** @returns the axes of `from` along which `to` is repeated; undefined where only running the graph tells. */
function broadcastAxes(from: Shape, to: Shape): readonly number[] | undefined {
  const lead = from.length - to.length;
  const axes = Array.from({ length: lead }, (_, i) => i);
  for (const [i, dim] of to.entries()) {
    const result = from[i + lead]!;
    if (dim === 1) {
      if (result !== 1) axes.push(i + lead);
    } else if (dim === null || (typeof dim === 'string' && dim !== result)) return undefined;
  }
  return axes;
}

/** What a gradient rule is given: one forward node, and the gradient of the loss by its outputs.
 * `gradient` is that by the first output; only operators of `manyOutputs` may be reached through others. */
export interface GradientContext {
  readonly node: OnnxNode;
  readonly writer: GradientWriter;
  readonly gradient: string;
  /** The gradient of the loss by each of the node's outputs; null for those the loss does not depend on. */
  readonly gradients: readonly (string | null)[];
  /** Whether anything to be trained lies behind this input; gradients of others need not be written. */
  needs(input: number): boolean;
}

/** Writes the gradient of the loss by each input of a node. @returns their names; null for inputs without one. */
export type GradientRule = (context: GradientContext) => readonly (string | null)[];
