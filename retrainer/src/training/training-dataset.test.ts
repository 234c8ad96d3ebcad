import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeTrainingDataset, encodeTrainingDataset, type TrainingDataset } from './training-dataset.ts';

const datasets: fc.Arbitrary<TrainingDataset> = fc
  .record({ rows: fc.nat({ max: 20 }), columns: fc.nat({ max: 6 }), value: fc.float({ noNaN: true }) })
  .map(({ rows, columns, value }) => ({
    rows,
    columns,
    features: Float32Array.from({ length: rows * columns }, (_, i) => value + i),
    labels: Float32Array.from({ length: rows }, (_, i) => i % 2),
    weights: Float32Array.from({ length: rows }, (_, i) => 1 + i),
  }));

describe('a dataset file', () => {
  it('gives back what was written, wherever its bytes begin', () => {
    fc.assert(
      fc.property(datasets, fc.nat({ max: 7 }), (dataset, shift) => {
        const bytes = Buffer.concat(encodeTrainingDataset(dataset));
        const moved = new Uint8Array(bytes.length + shift);
        moved.set(bytes, shift);
        expect(decodeTrainingDataset(moved.subarray(shift))).toEqual(dataset);
      }),
    );
  });

  it('is refused wherever it is cut', () => {
    const whole = Buffer.concat(
      encodeTrainingDataset({
        rows: 2,
        columns: 1,
        features: Float32Array.of(1, 2),
        labels: Float32Array.of(0, 1),
        weights: Float32Array.of(1, 1),
      }),
    );
    for (let length = 0; length < whole.length; length++) {
      expect(() => decodeTrainingDataset(whole.subarray(0, length)), `${length} bytes`).toThrow(
        expect.objectContaining({ code: 'DATA_LOSS' }),
      );
    }
  });
});
