import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dataSchema } from '@hotloop/model/manifest/data-schema.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { loadDataset } from '@hotloop/retrainer/datasets/dataset.ts';
import { RowSpool } from '@hotloop/retrainer/datasets/row-spool.ts';
import { writeDataset } from '@hotloop/retrainer/datasets/write-dataset.ts';
import { trainInProcess } from '@hotloop/retrainer/training/trainer-process.ts';
import type { BenchOptions } from '../../bench.ts';
import { type Figure, figure } from '../../figure.ts';

const COLUMNS = 64;
const ROWS = 4_000_000;
const TRAIN_MS = 1_200_000;

/**
 * Writes a dataset of so many rows of 64 columns (`--rows`; 4,000,000 are 1 GiB), reads it as a worker does and learns from it for one
 * epoch: `train_memory_mb`, the most memory of the training process; `train_memory_growth`, the same over that with a quarter of the
 * rows; `train_rows_s`, rows that it learnt from a second, its start and end included.
 */
export async function memoryBench({ rows = ROWS, say }: BenchOptions): Promise<Figure[]> {
  const small = await trainOn(Math.floor(rows / 4));
  const large = await trainOn(rows);
  for (const { peakMb, seconds, count } of [small, large])
    say(`${count} rows: ${Math.round(peakMb)} MB, ${seconds.toFixed(1)} s`);
  return [
    figure('train_memory_mb', [large.peakMb]),
    figure('train_memory_growth', [large.peakMb / small.peakMb]),
    figure('train_rows_s', [large.count / large.seconds]),
  ];
}

async function trainOn(count: number): Promise<{ peakMb: number; seconds: number; count: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-bench-'));
  try {
    const path = join(folder, 'dataset.parquet');
    await write(path, folder, count);
    using dataset = await loadDataset(path);
    const modelBytes = perceptron({
      ...{ inputs: COLUMNS, hidden: [32], outputs: 1, activation: 'relu', head: 'sigmoid', seed: 1 },
    });
    const begun = performance.now();
    const { peakMb = Number.NaN } = await trainInProcess(
      {
        ...{ modelBytes, dataset: dataset.training },
        settings: {
          ...{ loss: 'binary_cross_entropy', optimizer: { kind: 'adam' }, learningRate: 1e-3 },
          ...{ trainable: 'all', epochs: 1, batch: 256, seed: 1, validationFraction: 0 },
        },
      },
      { timeoutMs: TRAIN_MS },
    );
    return { peakMb, seconds: (performance.now() - begun) / 1000, count: dataset.training.rows };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function write(path: string, folder: string, count: number): Promise<void> {
  await using spool = await RowSpool.create(folder, COLUMNS);
  const random = new SeededRandom(4);
  const vector = new Float32Array(COLUMNS);
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < COLUMNS; column++) vector[column] = random.uniform() - 0.5;
    const label = vector[0]! > 0 ? 1 : 0;
    const own = { predictionId: String(row), key: String(row), row: 0, at: row + 1, label };
    await spool.append({ ...own, weight: 1, source: 'sdk', version: 1 }, vector);
  }
  await writeDataset(spool, path, {
    model: 'm',
    columns: Array.from({ length: COLUMNS }, (_, column) => ({
      ...{ key: `x${column}`, feature: `x${column}`, category: null },
    })),
    split: { holdout: 0.01, data: dataSchema.parse({}), hasParent: false },
    parentTo: 0,
  });
}
