import { canonicalJson } from '@hotloop/model/canonical-json.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { labelRule } from '@hotloop/model/outcome/label-rule.ts';
import {
  fromPostgresError,
  type Pool,
  type PoolClient,
  transaction,
} from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { outcomeCut, readOutcomes } from '../outcomes/outcome-store.ts';
import { assembleDataset, type Dataset } from './dataset.ts';
import {
  CLOCK_SKEW_MS,
  type JoinPrediction,
  type JoinResult,
  joinOutcomes,
  type LabelledExample,
} from './join.ts';

export interface CollectOptions {
  /** The newest predictions that are looked at; joining them holds this process up for a second or two at the default. */
  readonly maxPredictions: number;
  /** Rows (candidates) of them at most. */
  readonly maxRows: number;
  /** Memory for feature vectors; older examples beyond it are left out. */
  readonly maxFeatureBytes: number;
}

export const COLLECT_DEFAULTS: CollectOptions = {
  maxPredictions: 200_000,
  maxRows: 1_000_000,
  maxFeatureBytes: 1 << 30,
};

export interface CollectedDataset extends Dataset {
  /** The newest outcome that could count, by sequence. */
  readonly cut: number;
  /** Rows whose window is still open, and rows held back with them. */
  readonly pending: number;
  readonly unmatched: number;
}

const FEATURE_BATCH = 2_000;
const QUERY_MS = 120_000;

/**
 * Predictions that may be learnt from: whoever saw the answer can have acted on it. So live, canary and pinned, but not
 * shadow, whose answer nobody saw and whose live twin is logged already; and none that failed.
 */
const PREDICTIONS = `
  SELECT prediction_id, at_ms, entities, candidates, "rows" FROM (
    SELECT *, sum("rows") OVER (ORDER BY prediction_id DESC) AS rows_so_far FROM (
      SELECT prediction_id, extract(epoch FROM at) * 1000 AS at_ms, entities, candidates, "rows"
      FROM prediction
      WHERE model = $1 AND version = ANY($2) AND variant IN ('live', 'canary', 'pinned')
        AND error_code IS NULL AND features IS NOT NULL AND "columns" = $3
      ORDER BY prediction_id DESC LIMIT $4) newest) counted
  WHERE rows_so_far <= $5`;

const FEATURES = 'SELECT prediction_id, features FROM prediction WHERE prediction_id = ANY($1::uuid[])';

const SHOWN = 'SELECT prediction_id, shown FROM decision WHERE prediction_id = ANY($1::uuid[])';

/**
 * Builds the dataset of a model from what was logged and what was reported, in one snapshot of Postgres. The vectors are
 * those that were served; versions whose features are declared differently from `manifest` are left out.
 */
export async function collectDataset(
  pool: Pool,
  manifest: Manifest,
  holdout: number,
  now: number,
  options: CollectOptions,
): Promise<CollectedDataset> {
  refuseRedacted(manifest);
  try {
    return await transaction(pool, (client) => collect(client, manifest, holdout, now, options), {
      isolation: 'repeatable read',
    });
  } catch (error) {
    throw fromPostgresError(error);
  }
}

async function collect(
  client: PoolClient,
  manifest: Manifest,
  holdout: number,
  now: number,
  options: CollectOptions,
): Promise<CollectedDataset> {
  await client.query(`SET LOCAL statement_timeout = ${QUERY_MS}`);
  const columns = columnsOf(manifest).width;
  const rule = labelRule(manifest);
  const predictions = await readPredictions(client, manifest, columns, options);
  const cut = await outcomeCut(client, manifest.name);
  const since = predictions.reduce((earliest, { at }) => Math.min(earliest, at), now) - CLOCK_SKEW_MS;
  const joined = joinOutcomes(
    predictions,
    await readOutcomes(client, manifest.name, cut, since),
    {
      keys: manifest.outcome.join ?? [],
      windowMs: durationMs(manifest.outcome.window),
      otherwise: rule.otherwise,
      labelOf: (event) => rule.labelOf(event),
    },
    now,
  );
  const chosen = newest(mature(joined, rule.isOneSided), columns, options.maxFeatureBytes);
  const features = await readFeatures(client, chosen);
  return {
    ...assembleDataset(chosen, (id) => features.get(id), columns, holdout),
    cut,
    pending: joined.pending + (rule.isOneSided ? joined.examples.filter(({ open }) => open).length : 0),
    unmatched: joined.unmatched.length,
  };
}

/**
 * Where only positives are reported, a recent prediction's label is known only if it is positive. Learning from, and judging
 * on, those alone would show a world without negatives; so both wait until the window has ended.
 */
function mature(joined: JoinResult, isOneSided: boolean): readonly LabelledExample[] {
  return isOneSided ? joined.examples.filter((example) => !example.open) : joined.examples;
}

/** As many of the newest examples as fit, never parts of a prediction. */
function newest(
  examples: readonly LabelledExample[],
  columns: number,
  maxBytes: number,
): readonly LabelledExample[] {
  const fitting = Math.max(1, Math.floor(maxBytes / (4 * Math.max(columns, 1))));
  let start = Math.max(0, examples.length - fitting);
  while (start > 0 && examples[start]?.predictionId === examples[start - 1]?.predictionId) start++;
  return examples.slice(start);
}

interface PredictionRow {
  readonly prediction_id: string;
  readonly at_ms: string;
  readonly entities: Record<string, string>;
  readonly candidates: string[];
  readonly rows: number;
}

async function readPredictions(
  client: PoolClient,
  manifest: Manifest,
  columns: number,
  { maxPredictions, maxRows }: CollectOptions,
): Promise<JoinPrediction[]> {
  const versions = await versionsLike(client, manifest);
  const { rows } = await client.query<PredictionRow>(PREDICTIONS, [
    manifest.name,
    versions,
    columns,
    maxPredictions,
    maxRows,
  ]);
  const shown = manifest.task === 'ranking' ? await readShown(client, rows) : new Map();
  return rows.map((row) => ({
    predictionId: row.prediction_id,
    at: Math.round(Number(row.at_ms)),
    entities: row.entities,
    candidates: row.candidates,
    rows: row.rows,
    shown: shown.get(row.prediction_id) ?? null,
  }));
}

/** The versions whose rows mean the same: their features are declared alike. */
async function versionsLike(client: PoolClient, manifest: Manifest): Promise<number[]> {
  const { rows } = await client.query<{ version: number; features: unknown }>(
    `SELECT version, manifest -> 'features' AS features FROM model_version WHERE model = $1`,
    [manifest.name],
  );
  const wanted = canonicalJson(manifest.features);
  return rows.filter((row) => canonicalJson(row.features ?? []) === wanted).map((row) => row.version);
}

async function readShown(
  client: PoolClient,
  predictions: readonly PredictionRow[],
): Promise<Map<string, ReadonlySet<string>>> {
  const shown = new Map<string, ReadonlySet<string>>();
  for (const ids of batches(predictions.map((row) => row.prediction_id))) {
    const { rows } = await client.query<{ prediction_id: string; shown: unknown }>(SHOWN, [ids]);
    for (const row of rows) {
      const items = Array.isArray(row.shown) ? row.shown.flatMap(itemOf) : [];
      if (items.length > 0) shown.set(row.prediction_id, new Set(items));
    }
  }
  return shown;
}

function itemOf(entry: unknown): string[] {
  if (typeof entry === 'string') return [entry];
  if (typeof entry !== 'object' || entry === null || !('id' in entry)) return [];
  return typeof entry.id === 'string' ? [entry.id] : [];
}

async function readFeatures(
  client: PoolClient,
  examples: readonly LabelledExample[],
): Promise<Map<string, Float32Array>> {
  const features = new Map<string, Float32Array>();
  for (const ids of batches([...new Set(examples.map((example) => example.predictionId))])) {
    const { rows } = await client.query<{ prediction_id: string; features: Buffer }>(FEATURES, [ids]);
    // A copy, because a view into a larger buffer may start unaligned.
    for (const row of rows)
      if (row.features.length % 4 === 0)
        features.set(row.prediction_id, new Float32Array(new Uint8Array(row.features).buffer));
  }
  return features;
}

function* batches(ids: readonly string[]): Generator<readonly string[]> {
  for (let start = 0; start < ids.length; start += FEATURE_BATCH)
    yield ids.slice(start, start + FEATURE_BATCH);
}

function refuseRedacted(manifest: Manifest): void {
  const hidden = manifest.features.find((feature) => manifest.log.redact.includes(feature.name));
  if (hidden)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name} cannot be trained: log.redact keeps its feature ${hidden.name} out of the log`,
      { reason: 'redacted_feature' },
    );
}
