import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { accuracy, logLoss, multiclassAccuracy, multiclassLogLoss, ndcg, rmse, rocAuc } from './metrics.ts';

/** Examples with few distinct scores, so that ties are common. */
const examples = fc.array(
  fc.record({
    score: fc.integer({ min: 0, max: 6 }).map((n) => n / 6),
    label: fc.integer({ min: 0, max: 1 }),
  }),
  { minLength: 1, maxLength: 40 },
);

const columnsOf = (rows: readonly { score: number; label: number }[]) => ({
  scores: rows.map(({ score }) => score),
  labels: rows.map(({ label }) => label),
});

/** Counts every pair of a positive and a negative example. */
function aucByPairs(scores: readonly number[], labels: readonly number[]): number {
  let [won, pairs] = [0, 0];
  for (const [i, a] of scores.entries()) {
    for (const [j, b] of scores.entries()) {
      if (labels[i] !== 1 || labels[j] !== 0) continue;
      pairs++;
      won += a > b ? 1 : a === b ? 0.5 : 0;
    }
  }
  return won / pairs;
}

/** Every order of the values. */
function permutations<T>(values: readonly T[]): T[][] {
  if (values.length < 2) return [[...values]];
  return values.flatMap((first, i) => permutations(values.toSpliced(i, 1)).map((rest) => [first, ...rest]));
}

function gain(labels: readonly number[], k: number): number {
  return labels.slice(0, k).reduce((sum, label, rank) => sum + (2 ** label - 1) / Math.log2(rank + 2), 0);
}

/** Averages over every order that the scores allow. */
function ndcgByOrders(scores: readonly number[], labels: readonly number[], k: number): number {
  const orders = permutations([...scores.keys()]);
  const allowed = orders.filter((order) =>
    order.every((row, i) => i === 0 || scores[order[i - 1]!]! >= scores[row]!),
  );
  const mean =
    allowed.reduce(
      (sum, order) =>
        sum +
        gain(
          order.map((row) => labels[row]!),
          k,
        ),
      0,
    ) / allowed.length;
  return (
    mean /
    gain(
      labels.toSorted((a, b) => b - a),
      k,
    )
  );
}

describe('rocAuc', () => {
  it('is the share of pairs in the right order, ties counting half', () => {
    fc.assert(
      fc.property(examples, (rows) => {
        const { scores, labels } = columnsOf(rows);
        const expected = aucByPairs(scores, labels);
        if (Number.isNaN(expected)) expect(rocAuc(scores, labels)).toBeNaN();
        else expect(rocAuc(scores, labels)).toBeCloseTo(expected, 12);
      }),
    );
  });

  it('does not depend on the order of examples or the scale of scores', () => {
    fc.assert(
      fc.property(examples, (rows) => {
        const { scores, labels } = columnsOf(rows);
        const value = rocAuc(scores, labels);
        const turned = columnsOf(rows.toReversed());
        expect(
          rocAuc(
            turned.scores.map((s) => 3 * s - 100),
            turned.labels,
          ),
        ).toEqual(value);
      }),
    );
  });
});

describe('ndcg', () => {
  it('is the mean over all orders that equal scores allow', () => {
    const ranking = fc.array(
      fc.record({ score: fc.integer({ min: 0, max: 3 }), label: fc.integer({ min: 0, max: 3 }) }),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(ranking, fc.integer({ min: 1, max: 7 }), (rows, k) => {
        const { scores, labels } = columnsOf(rows);
        const value = ndcg(
          scores,
          labels,
          scores.map(() => 'one'),
          k,
        );
        if (labels.every((label) => label === 0)) expect(value).toBeNaN();
        else expect(value).toBeCloseTo(ndcgByOrders(scores, labels, k), 10);
      }),
    );
  });

  it('averages over groups that have a relevant row', () => {
    const scores = [2, 1, 1, 2, 5];
    const labels = [1, 0, 1, 0, 0];
    const groups = ['a', 'a', 'b', 'b', 'c'];
    expect(ndcg(scores, labels, groups, 10)).toBeCloseTo((1 + 1 / Math.log2(3)) / 2, 12);
    expect(ndcg(scores, labels, groups, 1)).toBe(0.5);
  });
});

describe('the other measures', () => {
  it('equal small examples computed by hand', () => {
    expect(logLoss([0.5, 0.25], [1, 0])).toBeCloseTo((Math.log(2) - Math.log(0.75)) / 2, 12);
    expect(multiclassLogLoss([0.5, 0.5, 0.1, 0.9], [0, 1], 2)).toBeCloseTo(
      -(Math.log(0.5) + Math.log(0.9)) / 2,
      12,
    );
    expect(accuracy([0.5, 0.4, 0.9, 0.1], [1, 1, 1, 0])).toBe(0.75);
    expect(multiclassAccuracy([1, 3, 2, 5, 0, 5], [1, 2], 3)).toBe(0.5);
    expect(rmse([1, 2], [4, 6])).toBeCloseTo(Math.sqrt((9 + 16) / 2), 12);
  });

  it('stay finite for a certain and wrong probability', () => {
    expect(logLoss([0, 1], [1, 0])).toBeGreaterThan(30);
    expect(logLoss([0, 1], [1, 0])).toBeLessThan(40);
  });

  it('are not a number for no rows', () => {
    for (const value of [logLoss([], []), accuracy([], []), rmse([], []), rocAuc([], [])])
      expect(value).toBeNaN();
  });
});
