import { FEATURE_STATUS } from '@hotloop/model/features/feature-status.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { ModelRules } from '../../outcomes/model-rules.ts';
import { type TraceStep, tracePrediction } from '../../trace/trace-prediction.ts';

/** What one feature was for one candidate (or for the request). */
export interface FeatureValue {
  readonly name: string;
  readonly from: string;
  readonly status: string;
  /** As it went into the model: one number for each of its columns. */
  readonly values: readonly number[];
  /** The category that the columns stand for, where they are one_hot; null for none of them, and for other features. */
  readonly category: string | null;
}

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
  /** One list for each row; at most MAX_ROWS. */
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
  readonly degraded: string[];
  readonly error_message: string | null;
  readonly label: string | null;
  readonly score: number | null;
  readonly shown: unknown;
}

const STORED = `
  SELECT prediction.at, prediction.model, prediction.version, candidates, "rows", "columns", features, statuses, degraded,
    error_message, label, score, shown
  FROM prediction LEFT JOIN decision USING (prediction_id) WHERE prediction.prediction_id = $1`;

const MAX_ROWS = 20;
const STATUS_NAMES = new Map<number, string>(
  Object.entries(FEATURE_STATUS).map(([name, code]) => [code, name]),
);

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
    rows: manifest ? featureRows(manifest, row) : [],
    steps,
  };
}

/** Cuts the logged rows into features. Pure. Empty for inputs that are no feature rows. */
export function featureRows(
  manifest: Manifest,
  logged: Pick<StoredRow, 'rows' | 'columns' | 'features' | 'statuses'>,
): readonly (readonly FeatureValue[])[] {
  const { features, statuses, columns } = logged;
  if (!features || manifest.features.length === 0) return [];
  const layout = columnsOf(manifest);
  if (!layout.isMatrix || layout.width !== columns || features.length !== logged.rows * columns * 4)
    return [];
  const view = new DataView(features.buffer, features.byteOffset, features.byteLength);
  return Array.from({ length: Math.min(logged.rows, MAX_ROWS) }, (_, row) =>
    layout.features.map(({ name, offset, width }, index) => {
      const values = Array.from({ length: width }, (_, column) =>
        view.getFloat32((row * columns + offset + column) * 4, true),
      );
      const feature = manifest.features[index];
      return {
        name,
        from: feature?.from ?? '',
        status: STATUS_NAMES.get(statuses?.[row * layout.features.length + index] ?? 0) ?? 'present',
        values,
        category: categoryOf(feature?.transform.at(-1), values),
      };
    }),
  );
}

/** The category of a one_hot step; null when no column is set, or more than one. */
function categoryOf(last: unknown, values: readonly number[]): string | null {
  if (typeof last !== 'object' || last === null || !('one_hot' in last)) return null;
  const categories = last.one_hot;
  if (!Array.isArray(categories) || categories.length !== values.length) return null;
  const set = values.flatMap((value, index) => (value === 1 ? [index] : []));
  return set.length === 1 ? String(categories[set[0] ?? 0]) : null;
}
