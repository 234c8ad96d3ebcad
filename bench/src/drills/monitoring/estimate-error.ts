import { readFile } from 'node:fs/promises';
import { fitLogistic, logisticProbability } from '@hotloop/model/statistics/logistic-regression.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import { type Quality, qualityOverTime } from '@hotloop/retrainer/monitoring/performance/quality.ts';
import type { ScoredRow } from '@hotloop/retrainer/monitoring/performance/scored-rows.ts';

/** The months of the sessions, as in the file. */
export const MONTHS = ['Feb', 'Mar', 'May', 'June', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;
const NUMBERS = 10;
/** Number of months for training; of the last one, every other session is used, and the rest for calibration. */
const LEARNED = 3;
/** 12,330 sessions in ten months. */
const SESSIONS_A_DAY = 40;

/**
 * The real sessions, month by month: a model trained on the first months, its AUC by later labels, and its AUC as
 * estimated before the labels from calibrated scores alone.
 *
 * @param text `online_shoppers_intention.csv`.
 */
export function sessionsByMonth(text: string): Quality[] {
  const sessions = text
    .trim()
    .split(/\r?\n/)
    .slice(1)
    .map((line) => line.split(','))
    .map((cells) => ({
      month: MONTHS.indexOf(cells[10] as (typeof MONTHS)[number]),
      features: [
        ...cells.slice(0, NUMBERS).map((cell) => Math.log1p(Math.max(0, Number(cell)) * 10)),
        cells[15] === 'New_Visitor' ? 1 : 0,
        cells[16] === 'TRUE' ? 1 : 0,
      ],
      label: cells[17] === 'TRUE' ? 1 : 0,
    }));
  const columns = NUMBERS + 2;
  const learned = sessions.filter(
    ({ month }, index) => month < LEARNED - 1 || (month === LEARNED - 1 && index % 2 === 0),
  );
  const model = fitLogistic(
    learned.flatMap(({ features }) => features),
    columns,
    learned.map(({ label }) => label),
  );
  const later = sessions
    .filter(({ month }, index) => month > LEARNED - 1 || (month === LEARNED - 1 && index % 2 === 1))
    .toSorted((a, b) => a.month - b.month);
  // The file only has months: within one, sessions keep their order, with a fixed number per day.
  const starts: number[] = [];
  const rows = later.map(({ month, features, label }, index): ScoredRow => {
    const at = Math.floor(index / SESSIONS_A_DAY) * DAY_MS + (index % SESSIONS_A_DAY);
    starts[month] ??= at;
    const score = logisticProbability(model, features);
    return { at, version: 1, score, label, predictionId: String(index), row: 0 };
  });
  const monthOf = (at: number) => starts.findLastIndex((start) => start !== undefined && start <= at);
  return qualityOverTime('auc', rows, monthOf).filter(({ at }) => at >= LEARNED);
}

export interface EstimateError {
  readonly mean: number;
  readonly given: number;
  readonly months: number;
}

/** Mean distance of the estimate from the later value, over the months with an estimate. */
export function estimateError(months: readonly Quality[]): EstimateError {
  const errors = months.flatMap(({ measured, estimated }) =>
    measured && estimated ? [Math.abs(measured.value - estimated.value)] : [],
  );
  return {
    mean: errors.length === 0 ? Number.NaN : errors.reduce((sum, error) => sum + error, 0) / errors.length,
    given: errors.length,
    months: months.length,
  };
}

export async function readSessions(path: string): Promise<string> {
  return readFile(path, 'utf8');
}
