import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { describe, expect, it } from 'vitest';
import { scoreInProcess } from './evaluator-process.ts';
import { scoreModel } from './score-model.ts';
import type { TrainingDataset } from './training-dataset.ts';

/** The process has the lowest priority: on a busy machine even one that does little takes its time. */
const timeoutMs = 180_000;
const shape = { inputs: 3, hidden: [4], outputs: 1, activation: 'relu', head: 'sigmoid', seed: 1 } as const;
const binary = perceptron(shape);
const classes = perceptron({ ...shape, outputs: 5, head: 'softmax' });

function dataset(rows: number): TrainingDataset {
  const random = new SeededRandom(1);
  const features = Float32Array.from({ length: rows * 3 }, () => random.normal());
  return {
    rows,
    columns: 3,
    features,
    labels: new Float32Array(rows),
    weights: new Float32Array(rows).fill(1),
  };
}

describe('scoreInProcess', { timeout: timeoutMs }, () => {
  it('gives the scores of each model over all rows, in order', async () => {
    // More rows than are run at once.
    const data = dataset(5000);
    const scores = await scoreInProcess({ models: [binary, classes], dataset: data }, { timeoutMs });
    expect(scores).toEqual([
      { ...(await scoreModel(binary, data, undefined)), milliseconds: expect.any(Number) },
      { ...(await scoreModel(classes, data, undefined)), milliseconds: expect.any(Number) },
    ]);
    expect(scores.map(({ columns, values }) => [columns, values.length])).toEqual([
      [1, 5000],
      [5, 25_000],
    ]);
  });

  it('returns nothing for no rows', async () => {
    const scores = await scoreInProcess({ models: [binary], dataset: dataset(0) }, { timeoutMs });
    expect(scores[0]!.values).toEqual(new Float32Array(0));
  });

  it.each<[string, Uint8Array, string | undefined]>([
    ['a file that is no model', Buffer.from('no model'), undefined],
    ['an output that the model does not have', binary, 'wrong'],
    ['a model for other columns', perceptron({ ...shape, inputs: 4 }), undefined],
  ])('refuses %s', async (_title, model, output) => {
    const job = { models: [model], dataset: dataset(2), ...(output === undefined ? {} : { output }) };
    await expect(scoreInProcess(job, { timeoutMs })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
