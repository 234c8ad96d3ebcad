import { type InputSpec, loggedRows, rowInputs, TextTable } from '@hotloop/model/features/flat-rows.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { trainableTask } from '@hotloop/model/training/trainable-task.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { DatasetPart } from '../datasets/dataset.ts';
import { datasetInputs } from '../datasets/dataset-inputs.ts';
import { exampleReader } from '../datasets/labelled-rows.ts';
import type { Cell } from '../datasets/read-table.ts';
import { acceptedCorrections } from '../outcomes/corrections/correction-store.ts';
import type { GateCheck } from './gate.ts';
import type { Scores } from './measure.ts';

/** Accepted corrections with the features that were served. */
export interface RegressionCases {
  readonly rows: DatasetPart;
  /** Corrections that cannot be tried: no longer in the log, or logged with other columns. */
  readonly untried: number;
}

interface LoggedRow {
  readonly prediction_id: string;
  readonly candidates: readonly string[];
  readonly rows: number;
  readonly columns: number;
  readonly features: Buffer | null;
  readonly input_spec: InputSpec;
}

// Input: ids. Output: what was served for them.
const SERVED = `
  SELECT prediction_id, candidates, "rows", "columns", features, input_spec FROM prediction WHERE prediction_id = ANY($1::uuid[])
  ORDER BY prediction_id`;

/** The corrections of a model that count, as rows that a candidate must answer rightly. */
export async function readRegressionCases(pool: Pool, manifest: Manifest): Promise<RegressionCases> {
  const corrections = await acceptedCorrections(pool, manifest.name);
  const columns = columnsOf(manifest);
  const { width } = columns;
  const inputs = rowInputs(columns, manifest.input);
  const texts = new TextTable();
  const ids = [...new Set(corrections.flatMap(({ predictionId }) => predictionId ?? []))];
  const { rows } = ids.length === 0 ? { rows: [] } : await pool.query<LoggedRow>(SERVED, [ids]);
  const served = new Map(rows.map((row) => [row.prediction_id, row]));
  const vectors: Float32Array[] = [];
  const labels: number[] = [];
  const read = vectorReader(manifest, texts);
  for (const { predictionId, features, item, label } of corrections) {
    if (predictionId === null) {
      const vector = features && read(features);
      if (!vector) continue;
      vectors.push(vector);
      labels.push(label);
      continue;
    }
    const logged = served.get(predictionId);
    const index = item === null ? 0 : (logged?.candidates.indexOf(item) ?? -1);
    const rows = logged && index >= 0 ? loggedRows(inputs, logged, texts) : null;
    if (rows === null || index >= rows.length / width) continue;
    vectors.push(rows.slice(index * width, (index + 1) * width));
    labels.push(label);
  }
  const features = new Float32Array(vectors.length * width);
  for (const [row, vector] of vectors.entries()) features.set(vector, row * width);
  return {
    rows: {
      ...{ rows: vectors.length, columns: width, features, labels: Float32Array.from(labels) },
      ...{ ...datasetInputs(manifest), texts: texts.texts },
      weights: new Float32Array(vectors.length).fill(1),
      groups: Uint32Array.from(vectors.keys()),
    },
    untried: corrections.length - vectors.length,
  };
}

/** Computes this version's columns of an example that was told by its features; null where they cannot be computed. */
function vectorReader(
  manifest: Manifest,
  texts: TextTable,
): (features: Readonly<Record<string, Cell>>) => Float32Array | null {
  if (manifest.task === 'ranking' || manifest.task === 'tensor') return () => null;
  const reader = exampleReader(manifest, texts);
  return (features) => {
    try {
      return reader(features);
    } catch (error) {
      if (error instanceof HotloopError) return null;
      throw error;
    }
  };
}

/**
 * How many corrections the candidate answers rightly. Right is: for a class, that class; for a score, the label's side of the
 * threshold, or in a ranking no further from the label than the live version; for a number, within half a standard deviation
 * of the held-out labels.
 */
export function correctionsCheck(
  manifest: Manifest,
  { rows: cases, untried }: RegressionCases,
  candidate: Scores,
  live: Scores,
  holdout: DatasetPart,
  share: number,
): GateCheck[] {
  if (cases.rows === 0) return [];
  const isRight = rightness(manifest, candidate, live, cases, holdout);
  const wrong = Array.from({ length: cases.rows }, (_, row) => row).filter((row) => !isRight(row));
  const right = 1 - wrong.length / cases.rows;
  const left = untried === 0 ? '' : `; ${untried} more are no longer in the log or have other columns`;
  return [
    {
      ...{ name: 'corrections', candidate: right, against: share, interval: null, examples: cases.rows },
      outcome: right >= share ? 'passed' : 'failed',
      message:
        (wrong.length === 0
          ? `all ${cases.rows} accepted corrections are answered rightly`
          : `${wrong.length} of ${cases.rows} accepted corrections are answered wrongly`) + left,
    },
  ];
}

function rightness(
  manifest: Manifest,
  candidate: Scores,
  live: Scores,
  { labels }: DatasetPart,
  holdout: DatasetPart,
): (row: number) => boolean {
  const score = ({ columns, values }: Scores, row: number) => values[(row + 1) * columns - 1]!;
  const distance = (scores: Scores, row: number) => Math.abs(score(scores, row) - labels[row]!);
  const task = trainableTask(manifest);
  if (task === 'multiclass')
    return (row) => {
      const own = candidate.values.subarray(row * candidate.columns, (row + 1) * candidate.columns);
      return own.indexOf(Math.max(...own)) === labels[row];
    };
  if (task === 'regression') {
    const allowed = standardDeviation(holdout.labels) / 2;
    return (row) => distance(candidate, row) <= Math.max(allowed, distance(live, row));
  }
  const { threshold } = manifest.decision;
  const isOnSide = (row: number) => score(candidate, row) >= threshold === labels[row]! > 0.5;
  if (task === 'binary') return isOnSide;
  return (row) => isOnSide(row) || distance(candidate, row) <= distance(live, row);
}

function standardDeviation(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
