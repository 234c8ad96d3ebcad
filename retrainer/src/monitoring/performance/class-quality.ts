import {
  type ClassCalibration,
  type ClassesMetric,
  calibratedClasses,
  classesPerformance,
  fitClassCalibration,
} from '@hotloop/model/statistics/class-performance.ts';
import type { Estimate } from '@hotloop/model/statistics/estimated-performance.ts';
import type { Forecast } from './foretell.ts';
import type { LabelledRow, ScoredRow } from './scored-rows.ts';

const LEAST_LABELS = 200;
/** A calibration of several classes needs more labels than one of two classes. */
const LABELS_OF_A_CLASS = 20;

type ClassRow<Row extends ScoredRow = ScoredRow> = Row & { readonly probabilities: ArrayLike<number> };

const hasClasses = <Row extends ScoredRow>(row: Row): row is ClassRow<Row> =>
  row.probabilities !== undefined && (row.label === null || row.label < row.probabilities.length);

/** For task multiclass: the metric of labelled rows; null if probabilities were not logged. */
export function measureClasses(metric: ClassesMetric, rows: readonly LabelledRow[]): Estimate | null {
  const known = rows.filter(hasClasses<LabelledRow>);
  if (known.length < 2) return null;
  return classesPerformance(
    metric,
    known.map(({ probabilities }) => probabilities),
    known.map(({ probabilities, label }) => {
      const truth = new Float64Array(probabilities.length);
      truth[label] = 1;
      return truth;
    }),
  );
}

/** For task multiclass: the expected metric of rows, given the probabilities of their labels. */
export function estimateClasses(
  metric: ClassesMetric,
  rows: readonly ScoredRow[],
  expectedOf: (row: ScoredRow) => ArrayLike<number>,
  errorOfEstimator: number,
): Estimate | null {
  const given = rows.filter(hasClasses);
  if (given.length === 0) return null;
  return classesPerformance(
    metric,
    given.map(({ probabilities }) => probabilities),
    given.map(expectedOf),
    errorOfEstimator,
  );
}

/** The probability of each class. */
export const classForecast: Forecast<ClassCalibration, ArrayLike<number>> = {
  fit(labels, count) {
    const known = labels.filter(hasClasses<LabelledRow>);
    if (known.length < LEAST_LABELS) return null;
    const classes = known.at(-1)!.probabilities.length;
    const newest = known
      .slice(-Math.max(count, LEAST_LABELS, classes * LABELS_OF_A_CLASS))
      .filter(({ probabilities }) => probabilities.length === classes);
    return fitClassCalibration(
      newest.map(({ probabilities }) => probabilities),
      newest.map(({ label }) => label),
    );
  },
  expect: (calibration, { probabilities }) =>
    probabilities === undefined ? [] : calibratedClasses(calibration, probabilities),
  lossOf: (calibration, rows) =>
    rows
      .filter(hasClasses<LabelledRow>)
      .reduce(
        (sum, { probabilities, label }) =>
          sum - Math.log(Math.max(1e-12, calibratedClasses(calibration, probabilities)[label]!)),
        0,
      ),
};
