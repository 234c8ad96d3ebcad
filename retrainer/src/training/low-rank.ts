import type { OnnxModel, OnnxNode } from '@hotloop/model/onnx/model.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { float32Tensor, type OnnxTensor } from '@hotloop/model/onnx/tensor.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import type { AdapterSettings } from '@hotloop/model/training/training-settings.ts';

/** A model whose chosen weights W are computed as W + (alpha / rank) A B, with A and B to be trained and W as it was. */
export interface AdaptedModel {
  readonly model: OnnxModel;
  /** The initializers to train. */
  readonly trainable: readonly string[];
  /** The weights of the original file that trained adapters give. */
  merge(trained: ReadonlyMap<string, OnnxTensor>): ReadonlyMap<string, OnnxTensor>;
}

/**
 * Adds low-rank adapters to weights of two axes (LoRA: Hu et al., ICLR 2022): A [in, rank] begins at random, B [rank, out] at 0, so that
 * training begins with the very function of the model. Far fewer numbers are trained, and none of the old ones is forgotten: the adapters
 * are added to the weights afterwards, and the served file has its old shape. Pure: the same seed gives the same adapters.
 *
 * @throws INVALID_ARGUMENT for a weight that is not there or has other than two axes.
 */
export function addAdapters(
  model: OnnxModel,
  { rank, alpha = rank, weights }: AdapterSettings,
  seed: number,
): AdaptedModel {
  const { graph } = model;
  const matrices = [...graph.initializers].filter(
    ([, { elementType, dims }]) => elementType === 'float32' && dims.length === 2 && Math.min(...dims) > 1,
  );
  const chosen = weights === 'all' ? matrices.map(([name]) => name) : weights;
  for (const name of chosen)
    if (!matrices.some(([matrix]) => matrix === name))
      throw unsound(
        `training.adapters names ${quoted(name)}, which is no float32 weight of two axes; the model has: ` +
          `${matrices.map(([matrix]) => quoted(matrix)).join(', ') || 'none'}`,
      );
  if (chosen.length === 0) throw unsound('training.adapters: the model has no float32 weight of two axes');
  const random = new SeededRandom(seed);
  const initializers = new Map(graph.initializers);
  const nodes: OnnxNode[] = [];
  const scale = alpha / rank;
  const scaleName = fresh(initializers, 'adapters/scale');
  initializers.set(scaleName, float32Tensor([scale], []));
  const adapters = chosen.map((name) => {
    const [rows, columns] = graph.initializers.get(name)!.dims as [number, number];
    const [down, up, frozen] = ['down', 'up', 'frozen'].map((part) =>
      fresh(initializers, `${name}/${part}`),
    ) as [string, string, string];
    const first = Float32Array.from({ length: rows * rank }, () => random.normal() / Math.sqrt(rows));
    initializers.set(down, float32Tensor(first, [rows, rank]));
    initializers.set(up, float32Tensor(new Float32Array(rank * columns), [rank, columns]));
    initializers.set(frozen, graph.initializers.get(name)!);
    initializers.delete(name);
    nodes.push(
      node('MatMul', [down, up], `${name}/product`),
      node('Mul', [`${name}/product`, scaleName], `${name}/change`),
      node('Add', [frozen, `${name}/change`], name),
    );
    return { name, rows, columns, down, up };
  });
  const isWeight = new Set(chosen);
  return {
    model: {
      ...model,
      graph: {
        ...graph,
        initializers,
        nodes: [...nodes, ...graph.nodes],
        inputs: graph.inputs.filter(({ name }) => !isWeight.has(name)),
      },
    },
    trainable: adapters.flatMap(({ down, up }) => [down, up]),
    merge: (trained) =>
      new Map(
        adapters.map(({ name, rows, columns, down, up }) => {
          const [a, b] = [trained.get(down)!.data as Float32Array, trained.get(up)!.data as Float32Array];
          const merged = Float64Array.from(graph.initializers.get(name)!.data as Float32Array);
          for (let row = 0; row < rows; row++)
            for (let inner = 0; inner < rank; inner++) {
              const factor = scale * a[row * rank + inner]!;
              for (let column = 0; column < columns; column++)
                merged[row * columns + column]! += factor * b[inner * columns + column]!;
            }
          return [name, float32Tensor(merged, [rows, columns])] as const;
        }),
      ),
  };
}

function fresh(taken: ReadonlyMap<string, unknown>, name: string): string {
  return taken.has(name) ? fresh(taken, `${name}_`) : name;
}

function node(operator: string, inputs: readonly string[], output: string): OnnxNode {
  return { name: output, operator, domain: '', inputs, outputs: [output], attributes: new Map() };
}
