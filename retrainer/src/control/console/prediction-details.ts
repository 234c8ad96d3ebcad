import { TextTable } from '@hotloop/model/features/flat-rows.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { ModelRules } from '../../outcomes/model-rules.ts';
import { type FeatureValue, featureRows } from '../../trace/feature-rows.ts';
import { flatFeatures, type LoggedPrediction } from '../../trace/flat-features.ts';
import { type TraceStep, tracePrediction } from '../../trace/trace-prediction.ts';

export interface PredictionDetails {
  readonly predictionId: string;
  readonly model: string;
  readonly version: number;
  readonly at: number;
  readonly error: string | null;
  readonly degraded: readonly string[];
  readonly candidates: readonly string[];
  readonly label: string;
  readonly score: number | null;
  readonly shown: unknown;
  /** One list for each row; at most 20. */
  readonly rows: readonly (readonly FeatureValue[])[];
  readonly steps: readonly TraceStep[];
}

interface StoredRow {
  readonly at: Date;
  readonly model: string;
  readonly version: number;
  readonly candidates: string[];
  readonly rows: number;
  readonly columns: number;
  readonly features: Buffer | null;
  readonly statuses: Buffer | null;
  readonly input_spec: LoggedPrediction['input_spec'];
  readonly degraded: string[];
  readonly error_message: string | null;
  readonly label: string | null;
  readonly score: number | null;
  readonly shown: unknown;
}

const STORED = `
  SELECT prediction.at, prediction.model, prediction.version, candidates, "rows", "columns", features, statuses, input_spec, degraded,
    error_message, label, score, shown
  FROM prediction LEFT JOIN decision USING (prediction_id) WHERE prediction.prediction_id = $1`;

/** One prediction with its features and its whole story. Throws INVALID_ARGUMENT, NOT_FOUND. */
export async function readPrediction(
  predictionId: string,
  { pool, registry, rules }: { pool: Pool; registry: RegistryReader; rules: ModelRules },
): Promise<PredictionDetails> {
  const steps = await tracePrediction(predictionId, pool, rules);
  const id = predictionId.toLowerCase();
  const { rows } = await pool.query<StoredRow>(STORED, [id]).catch((error: unknown) => {
    throw fromPostgresError(error);
  });
  const row = rows[0];
  if (!row)
    throw new HotloopError(
      'NOT_FOUND',
      `prediction ${id} is not in the log; its row may still be on its way`,
    );
  const manifest = registry.current().models.get(row.model)?.versions.get(row.version)?.manifest;
  return {
    predictionId: id,
    model: row.model,
    version: row.version,
    at: row.at.getTime(),
    error: row.error_message,
    degraded: row.degraded,
    candidates: row.candidates,
    label: row.label ?? '',
    score: row.score,
    shown: row.shown ?? [],
    rows: manifest ? shownRows(manifest, row) : [],
    steps,
  };
}

function shownRows(manifest: Manifest, row: StoredRow): PredictionDetails['rows'] {
  const texts = new TextTable();
  const flat = flatFeatures(manifest, row, texts);
  return flat === null ? [] : featureRows(manifest, flat, texts);
}
