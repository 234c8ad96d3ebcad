import type { LoggedInputs, TextTable } from '@hotloop/model/features/flat-rows.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { Tensor } from '@hotloop/model/tensor.ts';
import { type Pool, transaction } from '@hotloop/platform/postgres/pool.ts';
import { type LabelledPrediction, readLabels } from '../../datasets/read-labels.ts';
import { type FlatLayout, LOGGED_INPUTS, loggedColumns, loggedValues } from '../logged-values.ts';
import { rowOutputs, scoresOf } from '../row-outputs.ts';

/** The model's answer for one row and the reported label, null while unknown. */
export interface ScoredRow {
  readonly at: number;
  readonly version: number;
  /** In task multiclass, the index of the predicted class. NaN if the outputs were not logged. */
  readonly score: number;
  /** Probabilities by class, in task multiclass. */
  readonly probabilities?: ArrayLike<number>;
  readonly label: number | null;
  readonly predictionId: string;
  /** Row number within the prediction, which has several rows in task ranking. In task multilabel each label is a separate scored row. */
  readonly row: number;
  /** Slices that it belongs to, such as `country = IT`; absent if they were not looked up. */
  readonly slices?: readonly string[];
}

export type LabelledRow = ScoredRow & { readonly label: number };

export interface ScoredRows {
  readonly rows: readonly ScoredRow[];
  /** Number of reports without a prediction. */
  readonly unmatched: number;
}

const PREDICTIONS = `
  SELECT prediction_id, extract(epoch FROM at) * 1000 AS at_ms, version, entities, candidates, "rows", outputs, output_spec
  FROM prediction WHERE model = $1 AND variant IN ('live', 'canary', 'pinned') AND error_code IS NULL
    AND at >= to_timestamp($2 / 1000.0)
  ORDER BY prediction_id DESC LIMIT $3`;

interface PredictionRow extends LabelledPrediction {
  readonly version: number;
  readonly outputs: Buffer | null;
  readonly output_spec: { name: string; datatype: Tensor['datatype']; shape: number[] }[];
}

/** The newest predictions since a given time with their scores and labels, oldest first. */
export async function readScoredRows(
  pool: Pool,
  manifest: Manifest,
  since: number,
  now: number,
  limit: number,
): Promise<ScoredRows> {
  const { rows } = await pool.query<PredictionRow>(PREDICTIONS, [manifest.name, since, limit]);
  const { examples, unmatched } = await transaction(pool, (client) =>
    readLabels(client, manifest, rows, now),
  );
  const scored = rows.flatMap((row): ScoredRow[] => {
    const outputs = rowOutputs(row, manifest);
    const scores = scoresOf(row, manifest);
    const at = Math.round(Number(row.at_ms));
    const labels = new Map(examples.get(row.prediction_id)?.map((example) => [example.row, example.label]));
    return Array.from({ length: row.rows }, (_v, index) => index).flatMap((index) => {
      const label = labels.get(index) ?? null;
      const about = { at, version: row.version, predictionId: row.prediction_id, row: index };
      const own = outputs[index];
      if (manifest.task === 'multilabel' && own)
        // The set of labels is encoded as one number: bit k stands for label k.
        return Array.from(own, (score, k) => ({
          ...{ ...about, score },
          label: label === null ? null : Math.floor(label / 2 ** k) % 2,
        })).reverse();
      const score = scores[index] ?? Number.NaN;
      return manifest.task === 'multiclass' && own
        ? { ...about, score, label, probabilities: own }
        : { ...about, score, label };
    });
  });
  return { rows: scored.reverse(), unmatched };
}

/**
 * The logged inputs of rows, concatenated, float32[rows x width]; rows whose logged form does not match the layout are left
 * out.
 *
 * @param texts receives the texts of text inputs, whose cells are indices into it.
 */
export async function readVectors(
  pool: Pool,
  rows: readonly ScoredRow[],
  layout: FlatLayout,
  texts: TextTable,
): Promise<{ readonly rows: readonly ScoredRow[]; readonly features: Float32Array }> {
  const found = await pool.query<LoggedInputs & { prediction_id: string }>(
    `SELECT prediction_id, ${LOGGED_INPUTS} FROM prediction
     WHERE prediction_id = ANY($1::uuid[]) AND "columns" = $2 AND features IS NOT NULL`,
    [[...new Set(rows.map(({ predictionId }) => predictionId))], loggedColumns(layout)],
  );
  const { width } = layout;
  const vectors = new Map(found.rows.map((one) => [one.prediction_id, loggedValues(one, layout, texts)]));
  const kept = rows.filter(
    ({ predictionId, row }) => (vectors.get(predictionId)?.length ?? 0) >= (row + 1) * width,
  );
  const features = new Float32Array(kept.length * width);
  for (const [at, { predictionId, row }] of kept.entries())
    features.set(vectors.get(predictionId)!.subarray(row * width, (row + 1) * width), at * width);
  return { rows: kept, features };
}
