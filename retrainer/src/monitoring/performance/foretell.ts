import { fitPlatt, logLoss, type Platt, plattProbability } from '@hotloop/model/statistics/calibration.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import type { LabelledRow, ScoredRow } from './scored-rows.ts';

/** Minimum number of labels of a calibration, in total and of each class. */
const LEAST_LABELS = 200;
const LEAST_OF_A_SIDE = 20;
/** Number of labels of the calibration that adapts quickly, and of the stable one. */
const FRESH_LABELS = 100;
const MANY_LABELS = 5_000;

/** How labels are predicted from scores. */
export interface Forecast<Fit, Expected> {
  /** Fits the newest `count` labels, or more if needed; null if there are too few. */
  fit(labels: readonly LabelledRow[], count: number): Fit | null;
  expect(fit: Fit, row: ScoredRow): Expected;
  /** Sum over rows of -ln of the probability given to the label that was reported. */
  lossOf(fit: Fit, rows: readonly LabelledRow[]): number;
}

/**
 * The expected label of each row, day by day from the labels of earlier days. Two calibrations compete, one of the newest
 * labels and one of many more: each day uses the one that predicted the labels of the last days better (log loss, decaying
 * by a tenth a day). The first adapts to change; the second is stable when nothing changes. Pure.
 */
export function foretell<Fit, Expected>(
  rows: readonly ScoredRow[],
  { fit, expect, lossOf }: Forecast<Fit, Expected>,
): Map<ScoredRow, Expected> {
  const expected = new Map<ScoredRow, Expected>();
  for (const own of Map.groupBy(rows, ({ version }) => version).values()) {
    const days = Map.groupBy(own, ({ at }) => Math.floor(at / DAY_MS));
    const earlier: LabelledRow[] = [];
    const losses = [0, 0];
    for (const [, today] of [...days].sort(([a], [b]) => a - b)) {
      const fits = [fit(earlier, FRESH_LABELS), fit(earlier, MANY_LABELS)];
      const [fresh, many] = fits;
      const chosen = fresh && (losses[0]! <= losses[1]! ? fresh : (many ?? fresh));
      const labelled = today.filter((row): row is LabelledRow => row.label !== null);
      if (chosen) for (const row of today) expected.set(row, expect(chosen, row));
      for (const [at, one] of fits.entries()) if (one) losses[at] = losses[at]! * 0.9 + lossOf(one, labelled);
      earlier.push(...labelled);
    }
  }
  return expected;
}

/** The probability of a positive label. */
export const labelForecast: Forecast<Platt, number> = {
  fit(labels, count) {
    const own = newestOf(labels, count);
    return (
      own &&
      fitPlatt(
        own.map(({ score }) => score),
        own.map(({ label }) => label),
      )
    );
  },
  expect: (platt, { score }) => plattProbability(platt, score),
  lossOf: logLoss,
};

/** The newest labels: `count`, or more until both classes have enough; null if there are too few. */
function newestOf(labels: readonly LabelledRow[], count: number): readonly LabelledRow[] | null {
  if (labels.length < LEAST_LABELS) return null;
  let [positives, taken] = [0, 0];
  while (taken < labels.length && (taken < count || Math.min(positives, taken - positives) < LEAST_OF_A_SIDE))
    positives += labels[labels.length - 1 - taken++]!.label > 0.5 ? 1 : 0;
  return Math.min(positives, taken - positives) < LEAST_OF_A_SIDE ? null : labels.slice(-taken);
}
