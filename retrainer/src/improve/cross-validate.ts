import type { Metric } from '@hotloop/model/manifest/gate-schema.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { trainingSpec } from '@hotloop/model/training/training-settings.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type Dataset, type DatasetPart, joinParts, pickRows } from '../datasets/dataset.ts';
import type { JobLimits } from '../training/job-process.ts';
import type { ModelScores } from '../training/score-model.ts';
import { type GateCheck, shown } from './gate.ts';
import { measure, type Scores } from './measure.ts';
import type { Trainer } from './trainer.ts';

/**
 * All rows but the frozen ones, where they are to be judged by cross-validation: training.data.folds is declared and the holdout
 * has fewer rows than the gate asks for. Null otherwise.
 */
export function foldedRows(manifest: Manifest, dataset: Dataset): DatasetPart | null {
  const { data, gate } = trainingSpec(manifest);
  if (data.folds === undefined) return null;
  if (dataset.holdout.rows >= gate.min_examples) return null;
  return joinParts([dataset.training, dataset.validation, dataset.holdout]);
}

/** What each model answers for every row: the candidate by the one of its trainings that did not learn from the row. */
export interface FoldedScores {
  readonly live: ModelScores;
  readonly candidate: ModelScores;
}

/**
 * k-fold cross-validation (Stone 1974): trains once for each fold on the rows of the others and scores the fold, so that every row is
 * judged by weights that have not seen it. Rows of one entity share a fold. The live version may have learnt from these rows; it is
 * then judged too kindly, and stays.
 *
 * @param train trains on the given rows. Rejects with what it or `trainer.score` throws.
 */
export async function crossValidate(
  rows: DatasetPart,
  live: Uint8Array,
  output: string | undefined,
  train: (rows: DatasetPart, fold: number) => Promise<Uint8Array>,
  trainer: Trainer,
  limits: JobLimits,
): Promise<FoldedScores> {
  const folds = rows.folds ?? new Int32Array(rows.rows);
  const all = [...folds.keys()];
  let whole: { live: ModelScores; candidate: ModelScores } | null = null;
  for (const fold of [...new Set(folds)].sort((a, b) => a - b)) {
    const [inside, outside] = [
      all.filter((row) => folds[row] === fold),
      all.filter((row) => folds[row] !== fold),
    ];
    if (outside.length === 0)
      throw new HotloopError('FAILED_PRECONDITION', 'all rows are in one fold: more entities are needed', {
        reason: 'one_fold',
      });
    const candidate = await train(pickRows(rows, outside), fold);
    const dataset = pickRows(rows, inside);
    const asked = { models: [live, candidate], dataset, ...(output === undefined ? {} : { output }) };
    const [first, second] = await trainer.score(asked, limits);
    if (!first || !second) throw new HotloopError('INTERNAL', 'the scores of both models were asked for');
    whole ??= { live: emptyLike(first, rows.rows), candidate: emptyLike(second, rows.rows) };
    copyRows(first, whole.live, inside);
    copyRows(second, whole.candidate, inside);
  }
  if (whole === null) throw new HotloopError('FAILED_PRECONDITION', 'there are no rows to cross-validate');
  return whole;
}

function emptyLike({ rowShape, columns }: ModelScores, rows: number): ModelScores {
  return { rowShape, columns, values: new Float32Array(rows * columns) };
}

function copyRows(from: ModelScores, to: ModelScores, places: readonly number[]): void {
  const { columns } = from;
  for (const [index, row] of places.entries())
    to.values.set(from.values.subarray(index * columns, (index + 1) * columns), row * columns);
}

/** What the gate's table says of the folds: the metric of each, and their mean. Decides nothing. */
export function foldsCheck(
  manifest: Manifest,
  metric: Metric,
  { live, candidate }: FoldedScores,
  rows: DatasetPart,
): GateCheck {
  const folds = rows.folds ?? new Int32Array(rows.rows);
  const inside = [...Map.groupBy(folds.keys(), (row) => folds[row]!)].sort(([a], [b]) => a - b);
  const valuesOf = (scores: ModelScores) =>
    inside.map(([, own]) => measure(manifest, metric, pickScores(scores, own), pickRows(rows, own)));
  const mean = (values: readonly number[]) => {
    const known = values.filter(Number.isFinite);
    return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
  };
  const values = valuesOf(candidate);
  const means = { candidate: mean(values), against: mean(valuesOf(live)) };
  const each = values.map((value) => (Number.isFinite(value) ? shown(value) : 'undefined')).join(', ');
  return {
    ...{ name: 'folds', outcome: 'reported', ...means, interval: null, examples: rows.rows },
    message: `${metric} of each of ${inside.length} folds: ${each}; live ${shown(means.against ?? Number.NaN)} on average`,
  };
}

function pickScores({ columns, values }: ModelScores, rows: readonly number[]): Scores {
  return {
    columns,
    values: Float32Array.from(
      rows.flatMap((row) => [...values.subarray(row * columns, (row + 1) * columns)]),
    ),
  };
}
