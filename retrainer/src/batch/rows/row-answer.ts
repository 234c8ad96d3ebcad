import type { Decision } from '@hotloop/model/decision/decision.ts';
import type { RowRequest } from './row-request.ts';

/** What one row is answered with; a refused one has the reason instead. */
export interface RowAnswer {
  readonly row: number;
  readonly refused?: string;
  readonly decision?: Pick<Decision, 'label' | 'score' | 'scores' | 'ranked'>;
  /** Where the prediction was logged. */
  readonly predictionId?: string;
  /** What was missing when the answer was made, such as history. */
  readonly degraded?: readonly string[];
}

/** Answers rows one request at a time, in their order. */
export interface RowAnswers extends AsyncDisposable {
  /** Rows that are best given at once. */
  readonly rowsAtOnce: number;
  /** Rejects for what stands in the way of all rows; a row that is refused is answered so. */
  answer(rows: readonly RowRequest[], timesMs: readonly number[], signal: AbortSignal): Promise<RowAnswer[]>;
}
