import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
  type InputSpec,
  loggedRows,
  type RowInput,
  rowInputs,
  TextTable,
} from '@hotloop/model/features/flat-rows.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import {
  evaluateOffPolicy,
  type OffPolicyValue,
  offPolicyWarnings,
} from '@hotloop/model/statistics/off-policy.ts';
import { trainableTask } from '@hotloop/model/training/trainable-task.ts';
import { trainingSpec } from '@hotloop/model/training/training-settings.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import { ParquetReader } from '@hotloop/platform/parquet/parquet-file.ts';
import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { COLLECT_DEFAULTS } from '../datasets/collect-dataset.ts';
import type { DatasetPart } from '../datasets/dataset.ts';
import type { DatasetCollector } from '../datasets/dataset-collector.ts';
import { datasetKey } from '../datasets/dataset-store.ts';
import { findVersion } from '../registry/version-store.ts';
import { readModelState } from '../rollouts/promotion-store.ts';
import { compareScores } from './compare-scores.ts';
import { type Compared, gateMetric } from './gate.ts';
import { singleScores } from './measure.ts';
import { loggedRequests, type ServedRequest } from './replay-ranking.ts';
import { replaySplit, type VersionValue } from './replay-split.ts';
import type { Trainer } from './trainer.ts';

export interface ReplayDependencies {
  readonly pool: Pool;
  readonly bundles: BundleStore;
  readonly objects: ObjectStore;
  readonly datasets: DatasetCollector;
  readonly trainer: Trainer;
  readonly clock: Clock;
}

export interface ReplayRequest {
  readonly model: string;
  readonly candidate: number;
  /** Milliseconds since 1970. */
  readonly since: number;
}

export interface Replay {
  readonly model: string;
  readonly candidate: number;
  readonly live: number;
  /** Logged requests that were run through the candidate. */
  readonly requests: number;
  /** Share of the requests whose first place (or whose side of the threshold) changes. */
  readonly changed: number;
  /** Rankings: what the candidate would have earned. */
  readonly value: OffPolicyValue | null;
  /** Other tasks: the metric of candidate and live on the labelled requests. */
  readonly compared: (Compared & { readonly metric: string; readonly labelled: number }) | null;
  /** What each of the two was worth over the requests that a rollout split between them; empty without such requests. */
  readonly split: readonly VersionValue[];
  readonly warnings: readonly string[];
}

const MOST_REQUESTS = 20_000;
const LIMITS = { timeoutMs: 600_000 };

/**
 * Runs logged requests through a candidate with the features as they were served, and says what would have been shown and what it
 * would have been worth. Throws NOT_FOUND; FAILED_PRECONDITION without requests, or for a candidate of other columns.
 */
export async function replay(
  { model, candidate, since }: ReplayRequest,
  dependencies: ReplayDependencies,
): Promise<Replay> {
  const { pool, trainer } = dependencies;
  const state = await readModelState(pool, model);
  if (state.liveVersion === null)
    throw new HotloopError('FAILED_PRECONDITION', `model ${model} has no live version to compare with`);
  const live = await bundleOf(model, state.liveVersion, dependencies);
  const other = await bundleOf(model, candidate, dependencies);
  const layout = columnsOf(live.manifest);
  const inputs = rowInputs(layout, live.manifest.input);
  const { width } = layout;
  const others = rowInputs(columnsOf(other.manifest), other.manifest.input);
  if (!isDeepStrictEqual(others.map(kindOf), inputs.map(kindOf)))
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `version ${candidate} has other columns than the requests were served with; it cannot be replayed`,
      { reason: 'other_columns' },
    );
  const texts = new TextTable();
  const logged = layout.isMatrix ? width : 0;
  const { requests, features } = await readServed(pool, model, since, logged, inputs, texts);
  if (requests.length === 0)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `no request of ${model} with features was logged since then`,
    );
  const labels = await readLabels(live.manifest, state.liveVersion, dependencies);
  const kind = layout.isMatrix ? {} : { inputs, texts: texts.texts };
  const part = { ...partOf(requests, features, width, labels), ...kind };
  const output = other.manifest.output === undefined ? {} : { output: other.manifest.output };
  const scored = await trainer.score({ models: [live.onnx, other.onnx], dataset: part, ...output }, LIMITS);
  const [before, after] = [scored[0]!, scored[1]!];
  const scores = singleScores(after, part.rows);
  const versions = [state.liveVersion, candidate] as const;
  const split = await replaySplit(pool, live.manifest, { versions, since, now: dependencies.clock.now() });
  const common = { model, candidate, live: state.liveVersion, requests: requests.length, split };
  if (trainableTask(live.manifest) === 'ranking') {
    const { logged, withoutPropensity, changed } = loggedRequests(
      requests,
      scores,
      part.labels,
      other.manifest,
    );
    const value = evaluateOffPolicy(logged);
    const warnings = offPolicyWarnings(value, withoutPropensity);
    if (other.manifest.decision.combine !== undefined)
      warnings.push('decision.combine is not replayed: the order is that of the scores alone');
    return { ...common, changed, value, compared: null, warnings };
  }
  const labelled = Array.from(part.labels.keys()).filter((row) => !Number.isNaN(part.labels[row]!));
  return { ...common, value: null, ...compareOnLabels(live.manifest, before, after, part, labelled) };
}

function compareOnLabels(
  manifest: Manifest,
  before: { columns: number; values: Float32Array },
  after: { columns: number; values: Float32Array },
  part: DatasetPart,
  labelled: readonly number[],
): Pick<Replay, 'changed' | 'compared' | 'warnings'> {
  const metric = gateMetric(trainableTask(manifest), trainingSpec(manifest).gate.metric);
  const pick = ({ columns, values }: typeof before) => ({
    columns,
    values: Float32Array.from(
      labelled.flatMap((row) => [...values.subarray(row * columns, (row + 1) * columns)]),
    ),
  });
  const rows: DatasetPart = {
    ...{ rows: labelled.length, columns: part.columns, features: new Float32Array(0) },
    labels: Float32Array.from(labelled, (row) => part.labels[row]!),
    weights: new Float32Array(labelled.length).fill(1),
    groups: Uint32Array.from(labelled, (row) => part.groups[row]!),
  };
  const { threshold } = manifest.decision;
  const [a, b] = [singleScores(before, part.rows), singleScores(after, part.rows)];
  const isOther = (row: number) =>
    manifest.task === 'binary' ? a[row]! >= threshold !== b[row]! >= threshold : a[row] !== b[row];
  const changed = Array.from({ length: part.rows }, (_, row) => row).filter(isOther).length / part.rows;
  const compared = compareScores(manifest, metric, pick(after), pick(before), rows);
  return {
    changed,
    compared: { ...compared, metric, labelled: labelled.length },
    warnings: labelled.length < 100 ? [`only ${labelled.length} of the requests have a label`] : [],
  };
}

async function bundleOf(model: string, version: number, { pool, bundles }: ReplayDependencies) {
  const { bundleSha256 } = await findVersion(pool, model, version);
  const bundle = await bundles.get(bundleSha256);
  return { onnx: bundle.onnx, manifest: parseManifest(bundle.manifestYaml) };
}

interface ServedRow {
  readonly prediction_id: string;
  readonly candidates: readonly string[];
  readonly rows: number;
  readonly columns: number;
  readonly features: Buffer;
  readonly input_spec: InputSpec;
  readonly shown: unknown;
}

// Input: model, time, columns. Output: live requests with what was shown, newest first.
const SERVED = `
  SELECT prediction.prediction_id, candidates, "rows", "columns", features, input_spec, shown FROM prediction
  LEFT JOIN decision USING (prediction_id)
  WHERE prediction.model = $1 AND prediction.at >= to_timestamp($2 / 1000.0) AND "columns" = $3
    AND prediction.variant <> 'shadow' AND features IS NOT NULL AND error_code IS NULL
  ORDER BY prediction.prediction_id DESC LIMIT ${MOST_REQUESTS}`;

/** What fills an input, whatever its name: weights of another network may call it otherwise. */
function kindOf({ dtype, shape }: RowInput) {
  return { dtype, shape };
}

async function readServed(
  pool: Pool,
  model: string,
  since: number,
  logged: number,
  inputs: readonly RowInput[],
  texts: TextTable,
) {
  const { rows } = await pool.query<ServedRow>(SERVED, [model, since, logged]).catch((error: unknown) => {
    throw fromPostgresError(error);
  });
  const requests: ServedRequest[] = [];
  const parts: Float32Array[] = [];
  let firstRow = 0;
  for (const row of rows) {
    const own = loggedRows(inputs, row, texts);
    if (own === null) continue;
    requests.push({
      ...{ predictionId: row.prediction_id, candidates: row.candidates, firstRow, rows: row.rows },
      shown: Array.isArray(row.shown) ? row.shown.filter(isShown) : [],
    });
    parts.push(own);
    firstRow += row.rows;
  }
  const features = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const own of parts) {
    features.set(own, at);
    at += own.length;
  }
  return { requests, features };
}

function isShown(entry: unknown): entry is ServedRequest['shown'][number] {
  if (typeof entry !== 'object' || entry === null) return false;
  const { id, rank, propensity } = entry as Record<string, unknown>;
  return (
    typeof id === 'string' && typeof rank === 'number' && typeof propensity === 'number' && propensity > 0
  );
}

/** Labels by prediction and row, as datasets join them. */
async function readLabels(
  manifest: Manifest,
  version: number,
  { datasets, objects, clock }: ReplayDependencies,
): Promise<ReadonlyMap<string, number>> {
  using collected = await datasets.collect(manifest, version, clock.now(), COLLECT_DEFAULTS, LIMITS);
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-replay-'));
  try {
    const path = join(folder, 'dataset.parquet');
    await objects.getFile(datasetKey(collected.sha256), path);
    await using reader = await ParquetReader.open(path);
    const at = (name: string) => reader.columns.findIndex((column) => column.name === name);
    const labels = new Map<string, number>();
    for (let group = 0; group < reader.groups.length; group++) {
      const [ids, rows, values] = await Promise.all(
        ['prediction_id', 'row', 'label'].map((name) => reader.read(group, at(name))),
      );
      for (let index = 0; index < ids!.length; index++)
        labels.set(`${ids![index]} ${rows![index]}`, Number(values![index]));
    }
    return labels;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function partOf(
  requests: readonly ServedRequest[],
  features: Float32Array,
  columns: number,
  labels: ReadonlyMap<string, number>,
): DatasetPart {
  const rows = features.length / columns;
  const part: DatasetPart = {
    ...{ rows, columns, features },
    labels: new Float32Array(rows).fill(Number.NaN),
    weights: new Float32Array(rows).fill(1),
    groups: new Uint32Array(rows),
  };
  for (const [group, { predictionId, firstRow, rows: count }] of requests.entries())
    for (let row = 0; row < count; row++) {
      part.groups[firstRow + row] = group;
      part.labels[firstRow + row] = labels.get(`${predictionId} ${row}`) ?? Number.NaN;
    }
  return part;
}
