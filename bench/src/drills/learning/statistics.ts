import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { evaluateOffPolicy, type LoggedRequest } from '@hotloop/model/statistics/off-policy.ts';
import { comparePairs, comparisonOf } from '@hotloop/retrainer/rollouts/compare-quality.ts';
import { type Figure, figure } from '../../figure.ts';
import type { Drill } from '../drill.ts';

const RUNS = 1_000;
const OUTCOMES = 20_000;
/** The comparison is evaluated after this many outcomes, which approximates continuous evaluation. */
const LOOK_EVERY = 200;

/** The guarantees of the loop's statistics, by simulation with known truth. Each of the 1,000 runs has its own seed. */
export const drillStatistics: Drill = async ({ say }): Promise<Figure[]> => {
  const identical = share((seed) => peeked(seed, 0.9, 0.9).better);
  say(`identical challengers judged better: ${identical}`);
  const worse = share((seed) => peeked(seed, 0.9, 0.87).worse);
  say(`worse challengers rejected: ${worse}`);
  const covered = share(coversTruth);
  say(`off-policy intervals that cover the truth: ${covered}`);
  return [
    figure('aa_promoted', [identical], { atMost: 0.05 }),
    figure('worse_rejected', [worse], { atLeast: 0.95 }),
    figure('ope_covered', [covered], { atLeast: 0.93 }),
  ];
};

function share(holds: (seed: number) => boolean): number {
  let count = 0;
  for (let seed = 0; seed < RUNS; seed++) if (holds(seed)) count++;
  return count / RUNS;
}

/**
 * A challenger in the shadow of the live version, both right with these probabilities on the same requests
 * (correlated like two models of one family), evaluated repeatedly; the first significant evaluation decides.
 */
function peeked(seed: number, live: number, challenger: number): { better: boolean; worse: boolean } {
  const random = new SeededRandom(seed + 1);
  const pairs: { candidate: number; live: number }[] = [];
  while (pairs.length < OUTCOMES) {
    for (let index = 0; index < LOOK_EVERY; index++) {
      // Half of the requests are answered alike, the others independently.
      const [first, second] = [random.uniform(), random.uniform()];
      const other = random.uniform() < 0.5 ? first : second;
      pairs.push({ candidate: other < challenger ? 1 : 0, live: first < live ? 1 : 0 });
    }
    const { lower, upper } = comparisonOf(comparePairs(pairs));
    if (lower > 0) return { better: true, worse: false };
    if (upper < 0) return { better: false, worse: true };
  }
  return { better: false, worse: false };
}

const ACTIONS = 5;
const LOGGED = 2_000;
const EPSILON = 0.2;

/**
 * One simulated log of an epsilon-greedy policy; whether the doubly robust interval of another policy covers its true
 * value.
 */
function coversTruth(seed: number): boolean {
  const random = new SeededRandom(seed * 7 + 3);
  const chances = Array.from({ length: ACTIONS }, () => 0.05 + 0.4 * random.uniform());
  const best = Math.floor(random.uniform() * ACTIONS);
  const probability = (favourite: number, action: number) =>
    EPSILON / ACTIONS + (action === favourite ? 1 - EPSILON : 0);
  const [served, wanted] = [(best + 1) % ACTIONS, best];
  const truth = chances.reduce((sum, chance, action) => sum + chance * probability(wanted, action), 0);
  const predicted = chances.map((chance) => chance * (0.5 + random.uniform()));
  const expected = predicted.reduce((sum, value, action) => sum + value * probability(wanted, action), 0);
  const requests = Array.from({ length: LOGGED }, (): LoggedRequest => {
    const action = random.uniform() < EPSILON ? random.integer(ACTIONS) : served;
    const reward = random.uniform() < chances[action]! ? 1 : 0;
    const logged = probability(served, action);
    const target = probability(wanted, action);
    return { actions: [{ reward, logged, target, predicted: predicted[action]! }], expected, slots: 1 };
  });
  const { interval } = evaluateOffPolicy(requests).doublyRobust;
  return interval.low <= truth && truth <= interval.high;
}
