import { type Comparison, type ComparisonSums, comparisonOf, scaled } from './compare-quality.ts';

export interface QualityRule {
  /** Largest accepted loss of quality, from 0 to 1. */
  readonly drop: number;
  /** Minimum number of outcomes of each version. */
  readonly minOutcomes: number;
  /** The share of requests that the version would answer in the next step, from 0 to 1. */
  readonly nextShare: number;
}

export interface QualityVerdict {
  readonly kind: 'advance' | 'roll_back' | 'wait';
  readonly comparison: Comparison;
  /** Further outcomes of both versions that an advance needs if the difference stays the same; null if no number suffices. */
  readonly needed: number | null;
  /** One sentence with the numbers. */
  readonly message: string;
}

const MOST_FACTOR = 2 ** 16;

/**
 * Rolls back if the version is certainly worse, and the estimated loss is larger than allowed. Advances if the largest loss that is
 * still possible, times the share of requests in the next step, is no larger than allowed: small steps need little evidence, the
 * last one needs the most. Otherwise it waits, and says for how many outcomes. The bounds hold at all times, so frequent checks do
 * not increase the error rate. Pure.
 */
export function judgeQuality(sums: ComparisonSums, rule: QualityRule): QualityVerdict {
  const comparison = comparisonOf(sums);
  const { candidate, live, difference, upper } = comparison;
  const numbers =
    `quality ${candidate.mean.toFixed(4)} of ${candidate.outcomes} against ${live.mean.toFixed(4)} of ${live.outcomes}, ` +
    `difference ${signed(difference)} (${signed(comparison.lower)} to ${signed(upper)})`;
  const missing =
    Math.max(0, rule.minOutcomes - candidate.outcomes) + Math.max(0, rule.minOutcomes - live.outcomes);
  if (missing > 0)
    return {
      ...{ kind: 'wait', comparison, needed: missing },
      message: `too few outcomes: ${candidate.outcomes} and ${live.outcomes} of ${rule.minOutcomes} each`,
    };
  if (upper < 0 && difference < -rule.drop)
    return {
      ...{ kind: 'roll_back', comparison, needed: null },
      message: `worse by more than ${rule.drop}: ${numbers}`,
    };
  if (isHarmless(comparison, rule))
    return { ...{ kind: 'advance', comparison, needed: 0 }, message: `good enough to go on: ${numbers}` };
  const needed = outcomesNeeded(sums, rule);
  return { kind: 'wait', comparison, needed, message: `not certain yet: ${numbers}` };
}

function isHarmless({ lower }: Comparison, { nextShare, drop }: QualityRule): boolean {
  return nextShare * Math.max(0, -lower) <= drop;
}

/** Factor by which the evidence must grow, found by doubling and then bisection. */
function outcomesNeeded(sums: ComparisonSums, rule: QualityRule): number | null {
  const isEnough = (factor: number) => isHarmless(comparisonOf(scaled(sums, factor)), rule);
  let high = 2;
  while (!isEnough(high)) {
    if (high >= MOST_FACTOR) return null;
    high *= 2;
  }
  let low = high / 2;
  for (let step = 0; step < 10; step++) {
    const middle = (low + high) / 2;
    if (isEnough(middle)) high = middle;
    else low = middle;
  }
  return Math.ceil((sums.candidate.outcomes + sums.live.outcomes) * (high - 1));
}

function signed(value: number): string {
  return `${value >= 0 ? '+' : ''}${value.toFixed(4)}`;
}
