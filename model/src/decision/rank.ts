import type { RankedCandidate } from './decision.ts';
import { seededRandom, shuffleFront } from './random-order.ts';

export interface RankOptions {
  readonly topK: number;
  /** Share of predictions whose whole order is random. */
  readonly epsilon: number;
  /** The prediction's id, so that a repeated prediction is ranked in the same way. */
  readonly seed: string;
}

/**
 * Ranks candidates by score, best first; equal scores keep the order of the request. Candidates in `excluded` are never
 * shown.
 *
 * Exploration: with probability epsilon the order of all m candidates that may be shown is a uniformly random
 * permutation, otherwise it is the order by score. In both cases the first top_k are shown. Therefore, exactly,
 *
 *   P(candidate c at rank r) = epsilon / m + (1 - epsilon) * [c is r-th by score]
 *
 * which is the `propensity` of a shown candidate. Over the ranks 1..m it sums to one for each candidate, and over the
 * candidates to one for each rank; it is never zero while epsilon is positive, as inverse propensity weighting needs.
 */
export function rank(
  ids: readonly string[],
  scores: ArrayLike<number>,
  excluded: ReadonlySet<string>,
  options: RankOptions,
): RankedCandidate[] {
  const { topK, epsilon, seed } = options;
  const byScore = orderByScore(ids, scores, excluded);
  const eligible = byScore.length;
  const shown = Math.min(topK, eligible);
  let order = byScore;
  if (epsilon > 0) {
    const random = seededRandom(seed);
    if (random.next() < epsilon) {
      order = byScore.slice();
      shuffleFront(order, shown, random);
    }
  }
  return Array.from({ length: shown }, (_, at) => {
    const candidate = order[at] as number;
    const chosenByScore = byScore[at] === candidate ? 1 - epsilon : 0;
    return {
      id: ids[candidate] ?? '',
      rank: at + 1,
      score: scores[candidate] ?? 0,
      propensity: epsilon / eligible + chosenByScore,
    };
  });
}

function orderByScore(
  ids: readonly string[],
  scores: ArrayLike<number>,
  excluded: ReadonlySet<string>,
): Uint32Array {
  const order: number[] = [];
  for (let index = 0; index < ids.length; index++) if (!excluded.has(ids[index] ?? '')) order.push(index);
  // Array.sort is stable: ties keep the order of the request.
  order.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0));
  return Uint32Array.from(order);
}
