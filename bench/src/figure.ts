import type { Rounds, Sample } from './interleave.ts';

/** The goal of a figure. */
export interface Goal {
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** One measured figure: the median over rounds, with its spread. */
export interface Figure {
  readonly key: string;
  readonly value: number;
  /** As in the table of goals, such as >= 0.8; empty for a figure without a goal. */
  readonly goal: string;
  readonly met: boolean | null;
  readonly low: number;
  readonly high: number;
  readonly n: number;
}

/** Four significant digits, but no rounding of integer digits. */
const rounded = (value: number): number =>
  Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4));

/** The median over the rounds, compared with a goal. */
export function figure(key: string, values: readonly number[], goal: Goal = {}): Figure {
  const value = median(values);
  const { atLeast, atMost } = goal;
  const text = atLeast !== undefined ? `>= ${atLeast}` : atMost !== undefined ? `<= ${atMost}` : '';
  const met = atLeast !== undefined ? value >= atLeast : atMost !== undefined ? value <= atMost : null;
  return {
    key,
    value: rounded(value),
    goal: text,
    met,
    low: rounded(Math.min(...values)),
    high: rounded(Math.max(...values)),
    n: values.length,
  };
}

/** Ratios of one measure of two sides, round by round. */
export function ratios<S extends Sample>(
  rounds: Rounds<S>,
  over: string,
  under: string,
  measure: (sample: S) => number,
): number[] {
  const below = rounds.get(under) ?? [];
  return (rounds.get(over) ?? []).flatMap((sample, index) => {
    const other = below[index];
    return other ? [measure(sample) / measure(other)] : [];
  });
}

/** The middle value; of an even number, the mean of the two in the middle. NaN without values. */
function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
