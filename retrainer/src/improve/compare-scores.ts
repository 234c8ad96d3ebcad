import type { Metric } from '@hotloop/model/manifest/gate-schema.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { compareAucs } from '@hotloop/model/statistics/delong.ts';
import { pairedBootstrap } from '@hotloop/model/statistics/paired-bootstrap.ts';
import type { DatasetPart } from '../datasets/dataset.ts';
import { type Compared, LARGER_IS_BETTER } from './gate.ts';
import { measure, type Scores, singleScores } from './measure.ts';

export interface CompareOptions {
  readonly confidence?: number;
  readonly resamples?: number;
}

const SEED = 1;

/**
 * One metric of two models on the same rows, with the interval of the difference: DeLong's for AUC, the paired bootstrap over
 * predictions for the others. The same rows give the same result.
 */
export function compareScores(
  manifest: Manifest,
  metric: Metric,
  candidate: Scores,
  against: Scores,
  part: DatasetPart,
  { confidence = 0.95, resamples = 1000 }: CompareOptions = {},
): Compared {
  const values = {
    candidate: measure(manifest, metric, candidate, part),
    against: measure(manifest, metric, against, part),
  };
  const sign = LARGER_IS_BETTER[metric] ? 1 : -1;
  const improvement = sign * (values.candidate - values.against);
  if (part.rows === 0) return { ...values, improvement, interval: { low: Number.NaN, high: Number.NaN } };
  const interval =
    metric === 'auc'
      ? compareAucs(
          singleScores(candidate, part.rows),
          singleScores(against, part.rows),
          part.labels,
          confidence,
        ).interval
      : bootstrapped(manifest, metric, candidate, against, part, { confidence, resamples });
  return {
    ...values,
    improvement,
    interval: sign === 1 ? interval : { low: -interval.high, high: -interval.low },
  };
}

function bootstrapped(
  manifest: Manifest,
  metric: Metric,
  candidate: Scores,
  against: Scores,
  part: DatasetPart,
  options: Required<CompareOptions>,
) {
  const units = unitsOf(part.groups);
  const sums = (scores: Scores) => units.map((rows) => contribution(manifest, metric, scores, part, rows));
  const [first, second] = [sums(candidate), sums(against)];
  const random = new SeededRandom(SEED);
  return pairedBootstrap(
    {
      first: first.map(({ value }) => value),
      second: second.map(({ value }) => value),
      weights: first.map(({ weight }) => weight),
      ...(metric === 'rmse' ? { transform: Math.sqrt } : {}),
    },
    () => random.uniform(),
    options,
  ).interval;
}

/** Rows of each prediction. */
function unitsOf(groups: Uint32Array): number[][] {
  const units = new Map<number, number[]>();
  for (const [row, group] of groups.entries()) {
    const rows = units.get(group);
    if (rows) rows.push(row);
    else units.set(group, [row]);
  }
  return [...units.values()];
}

/** What one prediction adds to the metric's sum, and how much it counts in the mean. */
function contribution(
  manifest: Manifest,
  metric: Metric,
  scores: Scores,
  part: DatasetPart,
  rows: readonly number[],
): { readonly value: number; readonly weight: number } {
  const own = metricOf(manifest, metric, scores, part, rows);
  if (metric === 'ndcg') return Number.isNaN(own) ? { value: 0, weight: 0 } : { value: own, weight: 1 };
  const mean = metric === 'rmse' ? own ** 2 : own;
  return { value: mean * rows.length, weight: rows.length };
}

function metricOf(
  manifest: Manifest,
  metric: Metric,
  scores: Scores,
  part: DatasetPart,
  rows: readonly number[],
): number {
  return measure(manifest, metric, selectScores(scores, rows), selectRows(part, rows));
}

/** Some rows of a part, in this order. */
export function selectRows(part: DatasetPart, rows: readonly number[]): DatasetPart {
  return {
    rows: rows.length,
    columns: part.columns,
    features: new Float32Array(0),
    labels: Float32Array.from(rows, (row) => part.labels[row]!),
    weights: Float32Array.from(rows, (row) => part.weights[row]!),
    groups: Uint32Array.from(rows, (row) => part.groups[row]!),
  };
}

export function selectScores({ columns, values }: Scores, rows: readonly number[]): Scores {
  const chosen = new Float32Array(rows.length * columns);
  for (const [index, row] of rows.entries())
    chosen.set(values.subarray(row * columns, (row + 1) * columns), index * columns);
  return { columns, values: chosen };
}
