import { ALPHA, type ComparisonSums, comparisonOf } from './compare-quality.ts';

/** Comparison of the candidate with the live version in one slice. */
export interface SliceVerdict {
  /** Such as `country = IT`. */
  readonly slice: string;
  readonly outcomes: number;
  readonly difference: number;
  readonly lower: number;
  readonly upper: number;
  readonly isBreach: boolean;
}

/** Only this many of the largest slices are judged. The error rate is divided among them. */
export const MOST_SLICES = 20;

/**
 * Judges each slice by the rule for the whole: certainly worse, and by more than allowed. A candidate may be better on the whole but
 * worse for one country. Largest slices first. Pure.
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

/** The sentence of the first breached slice; null without one. Pure. */
export function sliceBreach(verdicts: readonly SliceVerdict[], drop: number): string | null {
  const found = verdicts.find(({ isBreach }) => isBreach);
  if (!found) return null;
  const { slice, difference, lower, upper, outcomes } = found;
  return `worse by more than ${drop} where ${slice}: difference ${difference.toFixed(4)} (${lower.toFixed(4)} to ${upper.toFixed(4)}) over ${outcomes} outcomes`;
}
