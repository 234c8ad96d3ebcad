import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { isPredictionId } from '@hotloop/proto/prediction-id.ts';
import { findVersion } from '../registry/version-store.ts';
import type { LoggedOutputs } from '../rollouts/logged-outputs.ts';
import type { LoggedPrediction } from '../trace/flat-features.ts';

/** A logged prediction as it is explained, with recent rows of the same version to compare it with. */
export interface ExplainedRow extends LoggedPrediction {
  readonly model: string;
  readonly version: number;
  readonly bundleSha256: string;
  readonly candidates: readonly string[];
  readonly outputs: Buffer | null;
  readonly outputSpec: LoggedOutputs['output_spec'] | null;
  /** Inputs of recent predictions of this version, without this one. */
  readonly background: readonly LoggedPrediction[];
}

interface Stored extends LoggedPrediction {
  readonly model: string;
  readonly version: number;
  readonly candidates: string[];
  readonly outputs: Buffer | null;
  readonly output_spec: LoggedOutputs['output_spec'] | null;
  readonly error_message: string | null;
}

const STORED = `
  SELECT model, version, candidates, "rows", "columns", features, statuses, input_spec, outputs, output_spec, error_message
  FROM prediction WHERE prediction_id = $1`;

// Input: model, version, columns, the id that is explained. Output: features of recent predictions.
const BACKGROUND = `
  SELECT "rows", "columns", features, statuses, input_spec FROM prediction
  WHERE model = $1 AND version = $2 AND "columns" = $3 AND prediction_id <> $4 AND features IS NOT NULL AND "rows" > 0
  ORDER BY prediction_id DESC LIMIT 200`;

/** Reads a prediction for its explanation. Rejects INVALID_ARGUMENT (no id), NOT_FOUND, FAILED_PRECONDITION (it failed). */
export async function readExplainedRow(pool: Pool, predictionId: string): Promise<ExplainedRow> {
  const id = predictionId.toLowerCase();
  if (!isPredictionId(id))
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(predictionId.slice(0, 60))} is no prediction id; it looks like 01890a5d-ac96-774b-bcce-b302099a8057`,
    );
  try {
    const { rows } = await pool.query<Stored>(STORED, [id]);
    const stored = rows[0];
    if (!stored)
      throw new HotloopError('NOT_FOUND', `prediction ${id} is not in the log; it may still be on its way`);
    if (stored.error_message !== null)
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `prediction ${id} failed and has no score to explain: ${stored.error_message}`,
        { reason: 'not_explainable' },
      );
    const { model, version, columns } = stored;
    const { bundleSha256 } = await findVersion(pool, model, version);
    const others = await pool.query<LoggedPrediction>(BACKGROUND, [model, version, columns, id]);
    return {
      ...{ model, version, columns, rows: stored.rows },
      ...{ features: stored.features, statuses: stored.statuses, input_spec: stored.input_spec },
      bundleSha256,
      candidates: stored.candidates,
      outputs: stored.outputs,
      outputSpec: stored.output_spec,
      background: others.rows,
    };
  } catch (error) {
    throw fromPostgresError(error);
  }
}
