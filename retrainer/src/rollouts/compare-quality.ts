import { confidenceSequence, SequenceGatherer, type SequenceSums } from './confidence-sequence.ts';

/** One answer with a known outcome. */
export interface JudgedAnswer {
  readonly version: 'candidate' | 'live';
  /** From 0 (wrong) to 1 (right). */
  readonly quality: number;
  /** The candidate's share at that time; from 0 to 1, exclusive. */
  readonly share: number;
}

/** Comparison of a candidate with the live version. Qualities are from 0 to 1. */
export interface Comparison {
  readonly candidate: VersionQuality;
  readonly live: VersionQuality;
  /** Quality of the candidate minus that of the live version. */
  readonly difference: number;
  /** Bounds of the difference, valid at all times; infinite without observations. */
  readonly lower: number;
  readonly upper: number;
  readonly design: 'split' | 'paired' | 'before_after';
}

export interface VersionQuality {
  readonly outcomes: number;
  readonly mean: number;
}

/** Probability that a bound is ever wrong during a rollout. */
export const ALPHA = 0.025;

/** Sufficient statistics of the verdict. Scaled up, they predict the verdict with more outcomes. */
export interface ComparisonSums {
  readonly design: Comparison['design'];
  readonly candidate: VersionQuality;
  readonly live: VersionQuality;
  /** split and paired: one sequence of differences. before_after: one sequence per version, candidate first. */
  readonly sequences: readonly SequenceSums[];
}

/**
 * Answers of a random split, in the order in which their outcomes became known. Each gives an unbiased estimate of the difference:
 * (quality - guess) / share for the candidate, -(quality - guess) / (1 - share) for the live version (inverse propensity weights; the
 * guess is the mean of earlier qualities and only lowers the variance). Each lies in a range of width 1 / (share (1 - share)). Pure.
 */
export function compareSplit(answers: Iterable<JudgedAnswer>): ComparisonSums {
  const comparison = new SplitComparison();
  for (const answer of answers) comparison.add(answer);
  return comparison.sums;
}

/** The same, incrementally. */
export class SplitComparison {
  readonly #gatherer = new SequenceGatherer();
  readonly #candidate = new Mean();
  readonly #live = new Mean();
  #guess = 0.5;
  #seen = 0;

  add({ version, quality, share }: JudgedAnswer): void {
    const isCandidate = version === 'candidate';
    const weight = isCandidate ? 1 / share : -1 / (1 - share);
    this.#gatherer.add((quality - this.#guess) * weight, 1 / (share * (1 - share)));
    (isCandidate ? this.#candidate : this.#live).add(quality);
    this.#seen++;
    this.#guess += (quality - this.#guess) / this.#seen;
  }

  get sums(): ComparisonSums {
    return {
      design: 'split',
      candidate: this.#candidate.value,
      live: this.#live.value,
      sequences: [this.#gatherer.sums],
    };
  }
}

/** Pairs of both versions' answers to the same requests, from a shadow. Differences are between -1 and 1. Pure. */
export function comparePairs(
  pairs: Iterable<{ readonly candidate: number; readonly live: number }>,
): ComparisonSums {
  const gatherer = new SequenceGatherer();
  const [candidate, live] = [new Mean(), new Mean()];
  for (const pair of pairs) {
    gatherer.add(pair.candidate - pair.live, 2);
    candidate.add(pair.candidate);
    live.add(pair.live);
  }
  return { design: 'paired', candidate: candidate.value, live: live.value, sequences: [gatherer.sums] };
}

/**
 * Compares the candidate since it became live with the former version before that. Other changes at the same time are attributed
 * to the version, so only large differences count. Pure.
 */
export function compareBeforeAfter(candidate: Iterable<number>, live: Iterable<number>): ComparisonSums {
  const gathered = [candidate, live].map((qualities) => {
    const gatherer = new SequenceGatherer();
    const mean = new Mean();
    for (const quality of qualities) {
      gatherer.add(quality, 1);
      mean.add(quality);
    }
    return { sums: gatherer.sums, mean: mean.value };
  });
  const [after, before] = gathered;
  if (!after || !before) throw new RangeError('two versions are compared');
  return {
    design: 'before_after',
    candidate: after.mean,
    live: before.mean,
    sequences: [after.sums, before.sums],
  };
}

/** The difference with bounds that are each wrong with probability `alpha` at most. Pure. */
export function comparisonOf(sums: ComparisonSums, alpha: number = ALPHA): Comparison {
  const { design, candidate, live, sequences } = sums;
  const [first, second] = sequences;
  if (!first) throw new RangeError('there is nothing to compare');
  const known = { design, candidate, live };
  if (!second) {
    const difference = first.n === 0 ? 0 : first.sum / first.n;
    return { ...known, difference, ...confidenceSequence(first, alpha) };
  }
  const [after, before] = [confidenceSequence(first, alpha / 2), confidenceSequence(second, alpha / 2)];
  return {
    ...known,
    difference: candidate.mean - live.mean,
    lower: after.lower - before.upper,
    upper: after.upper - before.lower,
  };
}

/** The evidence scaled to `factor` times as many outcomes. Pure. */
export function scaled(sums: ComparisonSums, factor: number): ComparisonSums {
  return {
    ...sums,
    sequences: sums.sequences.map((sequence) => ({
      n: sequence.n * factor,
      sum: sequence.sum * factor,
      squares: sequence.squares.map(({ width, sum }) => ({ width, sum: sum * factor })),
    })),
  };
}

class Mean {
  #outcomes = 0;
  #sum = 0;

  add(value: number): void {
    this.#outcomes++;
    this.#sum += value;
  }

  get value(): VersionQuality {
    return { outcomes: this.#outcomes, mean: this.#outcomes === 0 ? 0 : this.#sum / this.#outcomes };
  }
}
