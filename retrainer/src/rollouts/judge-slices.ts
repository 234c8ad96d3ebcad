import { ALPHA, type ComparisonSums, comparisonOf } from './compare-quality.ts';

/** How the candidate compares in one part of the requests. */
export interface SliceVerdict {
  /** Such as `country = IT`. */
  readonly slice: string;
  readonly outcomes: number;
  readonly difference: number;
  readonly lower: number;
  readonly upper: number;
  readonly isBreach: boolean;
}

/** Of the slices the largest are judged. Each bound is wrong that much less often, so that all together err as often as one. */
export const MOST_SLICES = 20;

/**
 * A slice is breached as the whole is: worse for certain, and by more than is allowed. A candidate may be better on the whole and bad for
 * one country. Largest slices first. Pure.
 */
export function judgeSlices(
  slices: ReadonlyMap<string, ComparisonSums>,
  rule: { readonly drop: number; readonly minOutcomes: number },
): SliceVerdict[] {
  const counted = [...slices].map(([slice, sums]) => ({
    slice,
    sums,
    outcomes: sums.candidate.outcomes + sums.live.outcomes,
  }));
  return counted
    .toSorted((a, b) => b.outcomes - a.outcomes || a.slice.localeCompare(b.slice))
    .slice(0, MOST_SLICES)
    .map(({ slice, sums, outcomes }) => {
      const { difference, lower, upper } = comparisonOf(sums, ALPHA / MOST_SLICES);
      const isEnough = Math.min(sums.candidate.outcomes, sums.live.outcomes) >= rule.minOutcomes;
      return {
        slice,
        outcomes,
        difference,
        lower,
        upper,
        isBreach: isEnough && upper < 0 && difference < -rule.drop,
      };
    });
}

/** The sentence of the first breached slice; null when there is none. Pure. */
export function sliceBreach(verdicts: readonly SliceVerdict[], drop: number): string | null {
  const found = verdicts.find(({ isBreach }) => isBreach);
  if (!found) return null;
  const { slice, difference, lower, upper, outcomes } = found;
  return `worse by more than ${drop} where ${slice}: difference ${difference.toFixed(4)} (${lower.toFixed(4)} to ${upper.toFixed(4)}) over ${outcomes} outcomes`;
}
