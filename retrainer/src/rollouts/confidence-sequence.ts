/**
 * Sums for a confidence sequence over observations X_i that lie in ranges of known width: their number and sum, and for each width
 * c the sum of (X_i - guess_i)^2, where guess_i depends on earlier observations only.
 */
export interface SequenceSums {
  readonly n: number;
  readonly sum: number;
  /** By the width of the observations' range. */
  readonly squares: readonly { readonly width: number; readonly sum: number }[];
}

export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/** Bets of different sizes. Each is best at one number of observations; the mixture is good at all of them. */
const BETS = 16;
const LARGEST_BET = 0.9;

/**
 * Bounds of the mean, each of which holds at all times simultaneously with probability 1 - alpha, so it is valid to look after every
 * observation and to stop at any time. The mixture over bets l of the empirical-Bernstein supermartingale
 *   exp(l (S_n - n m) - psi_c(l) V_n),  psi_c(l) = (-log(1 - c l) - c l) / c^2,  0 <= l < 1 / c
 * (Howard, Ramdas, McAuliffe, Sekhon: Time-uniform, nonparametric, nonasymptotic confidence sequences, Annals of Statistics 49,
 * 2021, theorem 4, after Fan, Grama, Liu 2015); by Ville's inequality it ever exceeds 1 / alpha with probability alpha at most.
 * If the observations have different means, these are bounds of their average conditional mean. Pure.
 */
export function confidenceSequence(sums: SequenceSums, alpha: number): Interval {
  if (sums.n === 0) return { lower: Number.NEGATIVE_INFINITY, upper: Number.POSITIVE_INFINITY };
  const lower = lowerBound(sums, alpha);
  const upper = -lowerBound({ ...sums, sum: -sums.sum }, alpha);
  return { lower, upper };
}

function lowerBound({ n, sum, squares }: SequenceSums, alpha: number): number {
  const widest = Math.max(...squares.map(({ width }) => width));
  const bets = Array.from({ length: BETS }, (_, index) => (LARGEST_BET / widest) * 2 ** (-index / 2));
  const costs = bets.map((bet) =>
    squares.reduce((cost, square) => cost + psi(bet, square.width) * square.sum, 0),
  );
  const threshold = Math.log(BETS / alpha);
  // The total wealth of all bets decreases in m; the bound is where it equals the threshold.
  const wealth = (m: number) =>
    logSumExp(bets.map((bet, index) => bet * (sum - n * m) - (costs[index] ?? 0)));
  let [low, high] = [sum / n - widest, sum / n];
  for (let step = widest; wealth(low) < threshold; step *= 2) low -= step;
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (wealth(middle) < threshold) high = middle;
    else low = middle;
  }
  return low;
}

function psi(bet: number, width: number): number {
  return (-Math.log1p(-width * bet) - width * bet) / width ** 2;
}

function logSumExp(values: readonly number[]): number {
  const largest = Math.max(...values);
  return largest + Math.log(values.reduce((total, value) => total + Math.exp(value - largest), 0));
}

/** Accumulates the sums of one sequence, in the order in which the observations became known. */
export class SequenceGatherer {
  #n = 0;
  #sum = 0;
  readonly #squares = new Map<number, number>();

  /** @param width of the range that certainly contains this observation. */
  add(value: number, width: number): void {
    const guess = this.#n === 0 ? 0 : this.#sum / this.#n;
    this.#squares.set(width, (this.#squares.get(width) ?? 0) + (value - guess) ** 2);
    this.#n++;
    this.#sum += value;
  }

  get sums(): SequenceSums {
    return {
      n: this.#n,
      sum: this.#sum,
      squares: [...this.#squares].map(([width, sum]) => ({ width, sum })),
    };
  }
}
