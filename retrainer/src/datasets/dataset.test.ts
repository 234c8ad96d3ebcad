import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assembleDataset } from './dataset.ts';
import type { LabelledExample } from './join.ts';

const example = (prediction: number, row = 0, label = 1): LabelledExample => ({
  predictionId: `p${prediction}`,
  row,
  at: prediction,
  label,
  outcome: null,
  open: false,
});
const vectorsOf = (rows: number) => (id: string) =>
  Float32Array.from({ length: rows * 2 }, (_, index) => Number(id.slice(1)) + index / 10);

describe('assembling a dataset', () => {
  it('keeps the vectors that were served, and the newest predictions for the gate', () => {
    const examples = Array.from({ length: 10 }, (_, index) => example(index, 0, index % 2));
    const dataset = assembleDataset(examples, vectorsOf(1), 2, 0.2);
    expect(dataset).toMatchObject({ examples: 10, positives: 5, unusable: 0 });
    expect(dataset.training).toMatchObject({ rows: 8, columns: 2 });
    expect([...dataset.holdout.groups]).toEqual([8, 9]);
    expect([...dataset.holdout.labels]).toEqual([0, 1]);
    expect([...dataset.training.features.subarray(2, 4)]).toEqual([1, Math.fround(1.1)]);
  });

  it('never divides the candidates of one prediction', () => {
    const examples = Array.from({ length: 5 }, (_, prediction) =>
      [0, 1, 2].map((row) => example(prediction, row)),
    ).flat();
    void fc.assert(
      fc.property(fc.double({ min: 0.01, max: 0.89, noNaN: true }), (share) => {
        const { training, holdout } = assembleDataset(examples, vectorsOf(3), 2, share);
        expect(training.rows + holdout.rows).toBe(15);
        expect(training.rows % 3).toBe(0);
        expect(holdout.rows).toBeGreaterThan(0);
        expect(Math.max(...training.groups)).toBeLessThan(Math.min(...holdout.groups));
      }),
    );
  });

  it('leaves out rows whose vector is gone, of another width, or not finite', () => {
    const vectors = new Map([
      ['p1', Float32Array.of(1, 2)],
      ['p2', Float32Array.of(1)],
      ['p3', Float32Array.of(1, Number.NaN)],
    ]);
    const dataset = assembleDataset(
      [1, 2, 3, 4].map((id) => example(id)),
      (id) => vectors.get(id),
      2,
      0.5,
    );
    expect(dataset).toMatchObject({ examples: 1, unusable: 3 });
  });

  it('gives the same digest for the same rows, and another for any change', () => {
    const examples = [example(1), example(2, 0, 0), example(3)];
    const digest = (rows: readonly LabelledExample[], vectors = vectorsOf(1), share = 0.3) =>
      assembleDataset(rows, vectors, 2, share).sha256;
    expect(digest(examples)).toBe(digest(examples.map((one) => ({ ...one }))));
    const changes = [
      digest([example(1), example(2, 0, 1), example(3)]),
      digest([example(1), example(2, 0, 0)]),
      digest([example(1), example(2, 0, 0), example(4)]),
      digest(examples, vectorsOf(1), 0.6),
      digest(examples, (id) => vectorsOf(1)(id).map((value) => value + 1)),
    ];
    expect(new Set([digest(examples), ...changes]).size).toBe(6);
  });

  it('says nothing of nothing', () => {
    expect(assembleDataset([], vectorsOf(1), 2, 0.2)).toMatchObject({
      examples: 0,
      training: { rows: 0 },
      holdout: { rows: 0 },
    });
    expect(assembleDataset([example(1)], vectorsOf(1), 2, 0.2)).toMatchObject({
      training: { rows: 1 },
      holdout: { rows: 0 },
    });
  });
});
