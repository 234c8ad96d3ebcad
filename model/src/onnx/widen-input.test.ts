import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { GraphBuilder, int } from './graph-builder.ts';
import { initialNetwork } from './initial-networks.ts';
import { decodeModel, encodeModel } from './model.ts';
import { perceptron } from './perceptron.ts';
import { SeededRandom } from './seeded-random.ts';
import { float32Tensor } from './tensor.ts';
import { widenInput } from './widen-input.ts';

/** A layer whose weights have the columns on their second axis, as PyTorch exports it, on scaled columns. */
function scaledGemm(): Uint8Array {
  const graph = new GraphBuilder();
  const input = graph.input('input', 'float32', ['N', 3]);
  const mean = graph.initializer('mean', float32Tensor([1, 2, 3]));
  const std = graph.initializer('std', float32Tensor([2, 3, 4], [1, 3]));
  const half = graph.initializer('half', float32Tensor([0.5]));
  const scaled = graph.node('Div', [graph.node('Sub', [input, mean]), std]);
  const weights = graph.initializer('weights', float32Tensor([1, 2, 3, 4, 5, 6], [2, 3]));
  const bias = graph.initializer('bias', float32Tensor([1, -1]));
  const layer = graph.node('Gemm', [graph.node('Mul', [half, scaled]), weights, bias], { transB: int(1) });
  graph.node('Identity', [layer], {}, { outputs: ['value'] });
  graph.output('value', 'float32', ['N', 2]);
  return encodeModel(graph.build('scaled'));
}

const mlp = (outputs: number, head: 'sigmoid' | 'softmax' | 'none') =>
  perceptron({ inputs: 3, hidden: [8, 4], outputs, activation: 'tanh', head, seed: 3 });

async function outputsOf(onnx: Uint8Array, width: number, values: readonly number[]): Promise<number[]> {
  const session = await ort.InferenceSession.create(onnx);
  const feeds = {
    [session.inputNames[0]!]: new ort.Tensor('float32', Float32Array.from(values), [
      values.length / width,
      width,
    ]),
  };
  const found = await session.run(feeds);
  await session.release();
  return Object.values(found).flatMap(({ data }) => Array.from(data as Float32Array));
}

describe('a network for more columns', () => {
  it.each([
    ['a perceptron', mlp(1, 'sigmoid')],
    ['a perceptron of several classes', mlp(4, 'softmax')],
    [
      'a linear model',
      perceptron({ inputs: 3, hidden: [], outputs: 1, activation: 'relu', head: 'none', seed: 1 }),
    ],
    ['scaled columns and a transposed layer', scaledGemm()],
  ])('has the same outputs, whatever the new columns contain: %s', async (_, onnx) => {
    // Old columns 2, 0, 1 with a new one between them and one at the end.
    const from = [2, null, 0, 1, null];
    const wider = widenInput(onnx, { width: 3, from });
    const random = new SeededRandom(5);
    const rows = Array.from({ length: 20 }, () => Array.from({ length: 3 }, () => random.normal()));
    const moved = rows.map((row) =>
      from.map((column) => (column === null ? 100 * random.normal() : row[column]!)),
    );
    const before = await outputsOf(onnx, 3, rows.flat());
    const after = await outputsOf(wider!, 5, moved.flat());
    expect(after).toHaveLength(before.length);
    for (const [index, value] of before.entries()) expect(after[index]).toBeCloseTo(value, 5);
    expect(decodeModel(wider!).graph.inputs[0]?.shape?.[1]).toBe(5);
  });

  it.each<[string, Uint8Array]>([
    [
      'its columns are squared',
      initialNetwork({
        kind: 'factorization-machine',
        inputs: 3,
        userInputs: 1,
        hidden: [],
        activation: 'relu',
        factors: 2,
        head: 'sigmoid',
        seed: 1,
      }),
    ],
    ['it sums its columns', summed()],
    ['its first layer is read twice', tied()],
    [
      'it has another width',
      perceptron({ inputs: 4, hidden: [], outputs: 1, activation: 'relu', head: 'none', seed: 1 }),
    ],
  ])('is refused if %s', (_, onnx) => {
    expect(widenInput(onnx, { width: 3, from: [0, 1, 2, null] })).toBeNull();
  });
});

function summed(): Uint8Array {
  const graph = new GraphBuilder();
  const input = graph.input('input', 'float32', ['N', 3]);
  graph.node('ReduceMax', [input], { keepdims: int(1) }, { outputs: ['value'] });
  graph.output('value', 'float32', ['N', 1]);
  return encodeModel(graph.build('summed'));
}

function tied(): Uint8Array {
  const graph = new GraphBuilder();
  const input = graph.input('input', 'float32', ['N', 3]);
  const weights = graph.initializer('weights', float32Tensor([1, 2, 3], [3, 1]));
  const layer = graph.node('MatMul', [input, weights]);
  graph.node('MatMul', [layer, graph.node('Transpose', [weights])], {}, { outputs: ['value'] });
  graph.output('value', 'float32', ['N', 3]);
  return encodeModel(graph.build('tied'));
}
