import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import type { TrainingSettings } from '@hotloop/model/training/training-settings.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allCells, cellBlocks, cellsOfRows, StoredCells, shuffleRows } from './feature-cells.ts';
import { initialModel } from './initial-model.ts';
import { train } from './train.ts';
import {
  openTrainingDataset,
  type TrainingDataset,
  trainingDatasetBytes,
  writeTrainingDataset,
} from './training-dataset.ts';

let folder: string;
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hotloop-dataset-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function written(dataset: TrainingDataset): Promise<string> {
  const path = join(folder, `${files++}.bin`);
  await writeTrainingDataset(path, dataset);
  return path;
}

const datasets: fc.Arbitrary<TrainingDataset> = fc
  .record({
    rows: fc.nat({ max: 20 }),
    columns: fc.nat({ max: 6 }),
    value: fc.float({ noNaN: true }),
    isGrouped: fc.boolean(),
  })
  .map(({ rows, columns, value, isGrouped }) => ({
    rows,
    columns,
    features: Float32Array.from({ length: rows * columns }, (_, i) => value + i),
    labels: Float32Array.from({ length: rows }, (_, i) => i % 2),
    weights: Float32Array.from({ length: rows }, (_, i) => 1 + i),
    ...(isGrouped ? { groups: Uint32Array.from({ length: rows }, (_, i) => i >> 1) } : {}),
  }));

describe('a dataset file', () => {
  it('returns what was written, read at once or block by block', async () => {
    await fc.assert(
      fc.asyncProperty(datasets, fc.nat({ max: 5 }), async (dataset, more) => {
        const path = await written(dataset);
        using held = await openTrainingDataset(path);
        using stored = await openTrainingDataset(path, -1, 1 + more);
        const { [Symbol.dispose]: _close, ...whole } = held;
        expect(whole).toEqual(dataset);
        expect(stored).toMatchObject({ labels: dataset.labels, weights: dataset.weights });
        expect(stored.groups).toEqual(dataset.groups);
        expect(stored.features).toBeInstanceOf(StoredCells);
        expect(allCells(stored)).toEqual(dataset.features);
        const rows = Array.from({ length: dataset.rows }, (_, row) => (row * 7) % dataset.rows);
        expect(cellsOfRows(stored, rows)).toEqual(cellsOfRows(dataset, rows));
        const picked = (stored.features as StoredCells).pick(rows);
        expect(picked.read(rows)).toEqual(
          cellsOfRows(
            dataset,
            rows.map((row) => rows[row]!),
          ),
        );
        expect([...cellBlocks(stored)].flatMap(({ cells }) => [...cells])).toEqual([...allCells(dataset)]);
      }),
      { numRuns: 30 },
    );
  });

  it('is refused if it is truncated anywhere', async () => {
    const whole = Buffer.concat([
      ...trainingDatasetBytes({
        rows: 2,
        columns: 1,
        features: Float32Array.of(1, 2),
        labels: Float32Array.of(0, 1),
        weights: Float32Array.of(1, 1),
      }),
    ]);
    const path = join(folder, 'cut.bin');
    for (let length = 0; length < whole.length; length++) {
      await writeFile(path, whole.subarray(0, length));
      await expect(openTrainingDataset(path), `${length} bytes`).rejects.toMatchObject({ code: 'DATA_LOSS' });
    }
  });
});

describe('rows that stay in a file', () => {
  const settings: TrainingSettings = {
    ...{ loss: 'binary_cross_entropy', optimizer: { kind: 'adam' }, learningRate: 0.01 },
    ...{ trainable: 'all', epochs: 2, batch: 32, seed: 7, validationFraction: 0.2 },
  };
  const model = initialModel({ features: 3, task: 'binary', hidden: [8], seed: 3 });

  /** One column is far from usual, so that training changes its units. */
  function examples(rows: number): TrainingDataset {
    const random = new SeededRandom(5);
    const features = Float32Array.from({ length: rows * 3 }, (_, at) =>
      at % 3 === 2 ? 4000 + 900 * random.normal() : random.normal(),
    );
    const labels = Float32Array.from({ length: rows }, (_, row) => (features[row * 3]! > 0.3 ? 1 : 0));
    return { rows, columns: 3, features, labels, weights: new Float32Array(rows).fill(1) };
  }

  it('train to the same bytes as rows in memory if a window holds them all', async () => {
    const data = examples(1000);
    using stored = await openTrainingDataset(await written(data), 0, 100);
    const [first, second] = [await train(model, data, settings), await train(model, stored, settings)];
    expect(Buffer.from(second.modelBytes).equals(first.modelBytes)).toBe(true);
  });

  it('are trained on window by window beyond that, to the same bytes each time', async () => {
    const path = await written(examples(2000));
    const trained = [];
    for (let run = 0; run < 2; run++) {
      using stored = await openTrainingDataset(path, 0, 5);
      trained.push(await train(model, stored, { ...settings, epochs: 4 }));
    }
    const [first, second] = trained;
    expect(Buffer.from(second!.modelBytes).equals(first!.modelBytes)).toBe(true);
    expect(first!.metrics.validationLoss).toBeLessThan(0.7 * first!.metrics.validationLossBefore!);
  });

  it('are shuffled so that every row comes once and an epoch reads every block once', async () => {
    const data = examples(3000);
    using stored = await openTrainingDataset(await written(data), 0, 7);
    const rows = Uint32Array.from({ length: 3000 }, (_, row) => row);
    shuffleRows(rows, stored.features, new SeededRandom(1));
    expect([...rows].sort((a, b) => a - b)).toEqual([...rows.keys()]);
    // The blocks of a window are read in turns; none is needed again in a later window.
    const last = new Map([...rows].map((row, at) => [Math.floor(row / 7), at]));
    const first = new Map([...rows].reverse().map((row, at) => [Math.floor(row / 7), 2999 - at]));
    const spans = [...last].map(([block, at]) => at - first.get(block)!);
    expect(Math.max(...spans)).toBeLessThan(64 * 7);
    expect(
      rows
        .subarray(0, 7)
        .map((row) => Math.floor(row / 7))
        .every((block, _, all) => block === all[0]),
    ).toBe(false);
  });
});
