import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { LoggedRequest } from '@hotloop/model/statistics/off-policy.ts';

/** One logged request with what it was served with. */
export interface ServedRequest {
  readonly predictionId: string;
  readonly candidates: readonly string[];
  /** First of its rows among all rows. */
  readonly firstRow: number;
  readonly rows: number;
  readonly shown: readonly { readonly id: string; readonly rank: number; readonly propensity: number }[];
}

export interface ReplayedRankings {
  readonly logged: readonly LoggedRequest[];
  /** Requests whose propensities are not known, or are all 1: nothing else could have been shown. */
  readonly withoutPropensity: number;
  /** Share of all requests whose first place changes. */
  readonly changed: number;
}

const DEFAULT_TOP_K = 10;

/**
 * Logged rankings as the candidate sees them: the place of each shown item has the probability that the log says, and the one that
 * the candidate's own order and its `decision.explore` give it. The reward model is the mean reward of each rank. Rows without a label
 * are worth nothing. Pure.
 *
 * @param scores the candidate's, for every row of every request.
 */
export function loggedRequests(
  requests: readonly ServedRequest[],
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  { decision }: Manifest,
): ReplayedRankings {
  const topK = decision.rank?.top_k ?? DEFAULT_TOP_K;
  const epsilon = decision.explore?.epsilon ?? 0;
  const rewardOf = (row: number) => (Number.isNaN(labels[row]!) ? 0 : labels[row]!);
  const usable = requests.filter(({ shown }) => shown.some(({ propensity }) => propensity < 1));
  const byRank = meanRewards(usable, rewardOf);
  let changed = 0;
  for (const request of requests) {
    const first = request.shown.find(({ rank }) => rank === 1);
    if (first && orderOf(request, scores)[0] !== first.id) changed++;
  }
  const logged = usable.map((request): LoggedRequest => {
    const order = orderOf(request, scores);
    const slots = Math.min(topK, request.candidates.length);
    const actions = request.shown.map(({ id, rank, propensity }) => ({
      reward: rewardOf(request.firstRow + request.candidates.indexOf(id)),
      logged: propensity,
      target: rank > slots ? 0 : epsilon / order.length + (order[rank - 1] === id ? 1 - epsilon : 0),
      predicted: byRank[rank] ?? 0,
    }));
    const expected = Array.from({ length: slots }, (_, index) => byRank[index + 1] ?? 0);
    return { actions, slots, expected: expected.reduce((sum, value) => sum + value, 0) };
  });
  return { logged, withoutPropensity: requests.length - usable.length, changed: changed / requests.length };
}

/** Ids by score, equal ones in the order of the request. */
function orderOf({ candidates, firstRow }: ServedRequest, scores: ArrayLike<number>): string[] {
  return candidates
    .map((id, index) => ({ id, index, score: scores[firstRow + index]! }))
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .map(({ id }) => id);
}

function meanRewards(requests: readonly ServedRequest[], rewardOf: (row: number) => number): number[] {
  const sums: number[] = [];
  const counts: number[] = [];
  for (const { shown, candidates, firstRow } of requests)
    for (const { id, rank } of shown) {
      sums[rank] = (sums[rank] ?? 0) + rewardOf(firstRow + candidates.indexOf(id));
      counts[rank] = (counts[rank] ?? 0) + 1;
    }
  return sums.map((sum, rank) => sum / counts[rank]!);
}
