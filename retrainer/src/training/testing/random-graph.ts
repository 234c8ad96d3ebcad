import { GraphBuilder, int, tensor } from '@hotloop/model/onnx/graph-builder.ts';
import type { OnnxModel } from '@hotloop/model/onnx/model.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { elementCount, float32Tensor, int64Tensor } from '@hotloop/model/onnx/tensor.ts';

/** Which values a weight is drawn from: of either sign but not near 0, or well above 0. */
export type Range = 'signed' | 'positive';

/**
 * One operator on random shapes: its result's name and shape, and the operator set to use. `reference` computes the result
 * in float64 from the weights in the order they were drawn, where the runtime has the operator in float32 only.
 */
export type OperatorCase = (g: RandomGraph) => {
  value: string;
  dims: readonly number[];
  opset?: number;
  reference?: (weights: readonly Float64Array[]) => Float64Array;
};

/** A graph under test: one operator fed by weights of random shapes, its result read as a column of values. */
export class RandomGraph {
  readonly random: SeededRandom;
  readonly graph = new GraphBuilder('test/');
  #weights = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  /** A size from 1 to 4. */
  size(): number {
    return 1 + this.random.integer(4);
  }

  /** A shape of a rank between the bounds. */
  shape(minRank = 1, maxRank = 4): number[] {
    const rank = minRank + this.random.integer(maxRank - minRank + 1);
    return Array.from({ length: rank }, () => this.size());
  }

  /** True with the given chance. */
  chance(probability = 0.5): boolean {
    return this.random.uniform() < probability;
  }

  /** Some of the values, in order; perhaps none. */
  some<T>(values: readonly T[]): T[] {
    return values.filter(() => this.chance());
  }

  pick<T>(values: readonly T[]): T {
    return values[this.random.integer(values.length)]!;
  }

  values(count: number, range: Range = 'signed'): Float32Array {
    return Float32Array.from({ length: count }, () => {
      if (range === 'positive') return 0.4 + 1.2 * this.random.uniform();
      return (this.chance() ? 1 : -1) * (0.1 + 1.2 * this.random.uniform());
    });
  }

  /** A trained weight. @returns its name. */
  weight(dims: readonly number[], range: Range = 'signed'): string {
    return this.graph.initializer(
      `weight_${++this.#weights}`,
      float32Tensor(this.values(elementCount(dims), range), dims),
    );
  }

  /** Half of the time a value of the same content whose shape cannot be inferred before the graph runs. */
  hidden(value: string, dims: readonly number[]): string {
    return this.chance() ? value : this.graph.node('Reshape', [value, this.integers(dims)]);
  }

  /** A constant that training leaves alone. */
  constant(values: ArrayLike<number>, dims: readonly number[]): string {
    return this.graph.node('Constant', [], { value: tensor(float32Tensor(values, dims)) });
  }

  integers(values: readonly number[]): string {
    return this.graph.constant('integers', int64Tensor(values));
  }

  /** Two shapes that broadcast together, and the shape they give. */
  broadcastPair(): { a: number[]; b: number[]; result: number[] } {
    const result = this.shape(0, 4);
    const thin = () => {
      const dropped = this.random.integer(result.length + 1);
      return result.slice(dropped).map((dim) => (this.chance(0.3) ? 1 : dim));
    };
    const whole = this.chance();
    const a = whole ? result : thin();
    const b = whole ? thin() : result;
    return this.chance() ? { a, b, result } : { a: b, b: a, result };
  }

  /** Reads a value of the given shape as the model's output [count]. */
  finish(value: string, opset = 17): OnnxModel {
    this.graph.node('Reshape', [value, this.integers([-1])], { allowzero: int(0) }, { outputs: ['out'] });
    this.graph.output('out', 'float32', ['N']);
    return this.graph.build('random', { opset, irVersion: 8 });
  }
}
