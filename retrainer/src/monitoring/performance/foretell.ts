import { fitPlatt, logLoss, type Platt, plattProbability } from '@hotloop/model/statistics/calibration.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import type { LabelledRow, ScoredRow } from './scored-rows.ts';

/** Labels that a calibration needs in any case, and of each side. */
const LEAST_LABELS = 200;
const LEAST_OF_A_SIDE = 20;
/** Labels of a calibration that follows change, and of one that does not waver. */
const FRESH_LABELS = 100;
const MANY_LABELS = 5_000;

/** How labels are foretold from scores. */
export interface Forecast<Fit, Expected> {
  /** Learns from the newest `count` labels or as many as it takes; null where there are too few. */
  fit(labels: readonly LabelledRow[], count: number): Fit | null;
  expect(fit: Fit, row: ScoredRow): Expected;
  /** Sum over rows of -ln of the probability given to what happened. */
  lossOf(fit: Fit, rows: readonly LabelledRow[]): number;
}

/**
 * What is expected of each row's label, day by day from the labels of the days before. Two calibrations compete, one of the newest
 * labels and one of many more: each day takes the one that has foretold the labels of the last days better (log loss,
 * forgotten by a tenth a day). The few newest follow change, the many do not waver where nothing changes. Pure.
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

/** The newest labels, as many as asked for or as it takes to hold enough of both classes; null where there are too few. */
function newestOf(labels: readonly LabelledRow[], count: number): readonly LabelledRow[] | null {
  if (labels.length < LEAST_LABELS) return null;
  let [positives, taken] = [0, 0];
  while (taken < labels.length && (taken < count || Math.min(positives, taken - positives) < LEAST_OF_A_SIDE))
    positives += labels[labels.length - 1 - taken++]!.label > 0.5 ? 1 : 0;
  return Math.min(positives, taken - positives) < LEAST_OF_A_SIDE ? null : labels.slice(-taken);
}
