import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { trainInProcess } from '@hotloop/retrainer/training/trainer-process.ts';
import { type Figure, figure } from '../../figure.ts';
import type { Drill } from '../drill.ts';

const REPEATS = 10;

/** Whether training gives the same bytes repeatedly, in separate processes. */
export const drillReproducible: Drill = async ({ say }): Promise<Figure[]> => {
  const same = await sameDigests();
  say(`${same} of ${REPEATS} trainings gave the same bytes`);
  return [figure('reproducible', [same], { atLeast: REPEATS })];
};

/** How many trainings of the same model on the same rows with the same seed gave the most frequent digest. */
async function sameDigests(): Promise<number> {
  const random = new SeededRandom(9);
  const [rows, columns] = [2_000, 8];
  const features = Float32Array.from({ length: rows * columns }, () => random.normal());
  const labels = Float32Array.from({ length: rows }, (_, row) => (features[row * columns]! > 0 ? 1 : 0));
  const dataset = { rows, columns, features, labels, weights: new Float32Array(rows).fill(1) };
  const model = {
    inputs: columns,
    hidden: [16],
    outputs: 1,
    activation: 'relu',
    head: 'sigmoid',
    seed: 1,
  } as const;
  const digests: string[] = [];
  for (let turn = 0; turn < REPEATS; turn++) {
    const { sha256 } = await trainInProcess(
      {
        modelBytes: perceptron(model),
        dataset,
        settings: {
          ...{
            loss: 'binary_cross_entropy',
            optimizer: { kind: 'adam' },
            learningRate: 1e-2,
            trainable: 'all',
          },
          ...{ epochs: 3, batch: 64, seed: 5, validationFraction: 0.1 },
        },
      },
      { timeoutMs: 120_000 },
    );
    digests.push(sha256);
  }
  return Math.max(...[...Map.groupBy(digests, (digest) => digest).values()].map((group) => group.length));
}
