import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RankOptions, rank } from './rank.ts';

const NONE: ReadonlySet<string> = new Set();
const idsOf = (count: number) => Array.from({ length: count }, (_, index) => `c${index}`);

const arbitraryRanking = fc
  .array(fc.oneof(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), fc.constantFrom(0, 1)), {
    minLength: 1,
    maxLength: 30,
  })
  .chain((scores) =>
    fc.record({
      scores: fc.constant(scores),
      excluded: fc.subarray(idsOf(scores.length)).map((ids) => new Set(ids)),
      topK: fc.integer({ min: 1, max: 40 }),
      epsilon: fc.constantFrom(0, 0.05, 0.5, 1),
      seed: fc.uuid(),
    }),
  );

describe('rank', () => {
  it('shows each candidate at most once, at most top_k, never an excluded one, with a positive propensity', () => {
    fc.assert(
      fc.property(arbitraryRanking, ({ scores, excluded, topK, epsilon, seed }) => {
        const ids = idsOf(scores.length);
        const ranked = rank(ids, scores, excluded, { topK, epsilon, seed });
        expect(ranked).toHaveLength(Math.min(topK, ids.length - excluded.size));
        expect(new Set(ranked.map(({ id }) => id)).size).toBe(ranked.length);
        for (const [at, shown] of ranked.entries()) {
          expect(excluded.has(shown.id)).toBe(false);
          expect(shown.rank).toBe(at + 1);
          expect(shown.score).toBe(scores[ids.indexOf(shown.id)]);
          expect(shown.propensity).toBeGreaterThan(0);
          expect(shown.propensity).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('sorts by score without exploration, ties in the order of the request, each with propensity one', () => {
    fc.assert(
      fc.property(arbitraryRanking, ({ scores, excluded, topK, seed }) => {
        const ids = idsOf(scores.length);
        const ranked = rank(ids, scores, excluded, { topK, epsilon: 0, seed });
        const expected = ids
          .map((id, index) => ({ id, index, score: scores[index] ?? 0 }))
          .filter(({ id }) => !excluded.has(id))
          .sort((a, b) => b.score - a.score || a.index - b.index)
          .slice(0, topK);
        expect(ranked.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
        for (const { propensity } of ranked) expect(propensity).toBe(1);
      }),
    );
  });

  it('ranks a repeated prediction in the same way', () => {
    fc.assert(
      fc.property(arbitraryRanking, ({ scores, excluded, ...options }) => {
        const ids = idsOf(scores.length);
        expect(rank(ids, scores, excluded, options)).toEqual(rank(ids, scores, excluded, options));
      }),
    );
  });

  it('declares propensities that match the frequencies over many predictions, and that sum to one at each rank', () => {
    expect(greatestDeviation(rank)).toBeLessThan(5);
  });

  it('shows nothing when every candidate is excluded', () => {
    expect(rank(['a'], [1], new Set(['a']), { topK: 3, epsilon: 1, seed: 's' })).toEqual([]);
    expect(rank([], [], NONE, { topK: 3, epsilon: 0, seed: 's' })).toEqual([]);
  });
});

describe('the check of the propensities', () => {
  const planted: [string, typeof rank][] = [
    [
      'shows by score but declares exploration',
      (ids, scores, excluded, options) =>
        rank(ids, scores, excluded, { ...options, epsilon: 0 }).map((shown) => ({
          ...shown,
          propensity: 0.3 / 3 + 0.7,
        })),
    ],
    [
      'ignores that exploration may also show the best first',
      (ids, scores, excluded, options) =>
        rank(ids, scores, excluded, options).map((shown) => ({
          ...shown,
          propensity: shown.propensity > 0.5 ? 0.7 : shown.propensity,
        })),
    ],
    [
      'explores more than it declares',
      (ids, scores, excluded, options) => {
        const shown = rank(ids, scores, excluded, { ...options, epsilon: 0.35 });
        return shown.map((one) => ({ ...one, propensity: one.propensity > 0.5 ? 0.8 : 0.1 }));
      },
    ],
    [
      'explores with the same order for every prediction',
      (ids, scores, excluded, options) => rank(ids, scores, excluded, { ...options, seed: 'the same' }),
    ],
  ];
  it.each(planted)('catches one that %s', (_, ranking) => {
    expect(greatestDeviation(ranking)).toBeGreaterThan(5);
  });
});

/**
 * Largest deviation of the frequencies over many predictions from the declared propensities, in standard deviations
 * of a binomial share, over all candidates and ranks. Infinity when the propensities of a rank do not sum to one, or
 * change.
 */
function greatestDeviation(ranking: typeof rank): number {
  const options: Omit<RankOptions, 'seed'> = { topK: 2, epsilon: 0.3 };
  const draws = 20_000;
  const counts = new Map<string, number>();
  const declared = new Map<string, number>();
  // Ids of the same millisecond, which differ only in their random bits, as real ones do.
  const predictionIds = randomPredictionIds(seededBytes(7));
  for (let draw = 0; draw < draws; draw++) {
    const seed = predictionIds.next(1_700_000_000_000);
    const shown = ranking(idsOf(4), [0.1, 0.9, 0.5, 0.3], new Set(['c2']), { ...options, seed });
    for (const { id, rank: at, propensity } of shown) {
      const cell = `${id}@${at}`;
      counts.set(cell, (counts.get(cell) ?? 0) + 1);
      if ((declared.get(cell) ?? propensity) !== propensity) return Number.POSITIVE_INFINITY;
      declared.set(cell, propensity);
    }
  }
  let greatest = 0;
  for (const at of [1, 2]) {
    const cells = [...declared.keys()].filter((cell) => cell.endsWith(`@${at}`));
    const sum = cells.reduce((total, cell) => total + (declared.get(cell) ?? 0), 0);
    if (Math.abs(sum - 1) > 1e-9) return Number.POSITIVE_INFINITY;
    for (const cell of cells) {
      const propensity = declared.get(cell) ?? 0;
      const deviation = Math.sqrt((propensity * (1 - propensity)) / draws);
      greatest = Math.max(greatest, Math.abs((counts.get(cell) ?? 0) / draws - propensity) / deviation);
    }
  }
  return greatest;
}

/** Bytes from a small generator (mulberry32), so that the test uses the same ids each time. */
function seededBytes(seed: number): (bytes: Uint8Array) => void {
  let state = seed;
  return (bytes) => {
    for (let index = 0; index < bytes.length; index++) {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      bytes[index] = (mixed ^ (mixed >>> 14)) & 0xff;
    }
  };
}
