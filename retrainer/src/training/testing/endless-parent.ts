import { initialModel } from '../initial-model.ts';
import { trainInProcess } from '../trainer-process.ts';

// A process whose training never ends by itself, to be killed by a test. Prints a line once training runs.
const rows = 64;
await trainInProcess(
  {
    modelBytes: initialModel({ features: 2, task: 'binary', seed: 1 }),
    dataset: {
      rows,
      columns: 2,
      features: new Float32Array(rows * 2).fill(1),
      labels: new Float32Array(rows).fill(1),
      weights: new Float32Array(rows).fill(1),
    },
    settings: {
      loss: 'binary_cross_entropy',
      optimizer: { kind: 'adam' },
      learningRate: 1e-6,
      trainable: 'all',
      epochs: 1_000_000_000,
      batch: 16,
      seed: 1,
      validationFraction: 0,
    },
  },
  {
    timeoutMs: 180_000,
    workDirectory: process.argv[2]!,
    onProgress: () => process.stdout.write('training\n'),
  },
);
