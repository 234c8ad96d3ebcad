import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileFeatures } from '@hotloop/model/features/compile-feature.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Metric } from '@hotloop/model/manifest/gate-schema.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { trainableTask } from '@hotloop/model/training/trainable-task.ts';
import { trainingSettings, trainingSpec } from '@hotloop/model/training/training-settings.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import {
  type Dataset,
  type DatasetPart,
  frozenPart,
  joinParts,
  type LoadedDataset,
  loadDataset,
  rowsBetween,
} from '../datasets/dataset.ts';
import { datasetKey, listDatasets } from '../datasets/dataset-store.ts';
import { findLiveOrNewest } from '../registry/version-store.ts';
import { untrainedNetwork } from '../registry/weights-without-file.ts';
import { cellBlocks, cellsOfRows } from '../training/feature-cells.ts';
import { compareScores } from './compare-scores.ts';
import { type Compared, gateMetric, LARGER_IS_BETTER } from './gate.ts';
import { measure, type Scores } from './measure.ts';
import type { FirstVersionDependencies } from './train-first-version.ts';

export interface FeatureImportance {
  readonly feature: string;
  /** How much worse the metric gets, on average, when the feature's values are shuffled among the rows. */
  readonly importance: number;
  /** Standard error of that over the repetitions. */
  readonly error: number;
  /** No worse than without it, within two standard errors. */
  readonly useless: boolean;
}

export interface FeatureSelection {
  readonly model: string;
  readonly version: number;
  readonly dataset: string;
  readonly metric: Metric;
  /** Of the version, on the rows. */
  readonly value: number;
  readonly rows: number;
  /** Most important first. */
  readonly features: readonly FeatureImportance[];
  /** All features against those that are not useless, both trained from the beginning; null where nothing was trained. */
  readonly retrained: (Compared & { readonly kept: readonly string[] }) | null;
  /** Why nothing was trained; empty where it was. */
  readonly note: string;
}

export interface SelectionRequest {
  readonly model: string;
  /** Times that each feature is shuffled. */
  readonly repeats: number;
  readonly retrain: boolean;
}

const SEED = 1;
const LEAST_ROWS = 20;
const MOST_ROWS = 20_000;
/** Numbers that one scoring process is given at once: 128 MiB. */
const MOST_CELLS = 32 * 1024 * 1024;
const LIMITS = { timeoutMs: 600_000 };

/**
 * Ranks the features of a model's live (or newest) version by permutation importance (Breiman 2001) on held-out rows of its newest
 * dataset, and trains once with and once without the useless ones, for comparison. Registers nothing. Throws NOT_FOUND for an unknown
 * model; FAILED_PRECONDITION without a dataset of its columns, or with fewer than 20 held-out rows.
 */
export async function selectFeatures(
  { model, repeats, retrain }: SelectionRequest,
  dependencies: FirstVersionDependencies,
): Promise<FeatureSelection> {
  const { pool, bundles, trainer } = dependencies;
  const found = await findLiveOrNewest(pool, model);
  if (found === null) throw new HotloopError('NOT_FOUND', `model ${model} is not registered`);
  const bundle = await bundles.get(found.bundleSha256);
  const manifest = parseManifest(bundle.manifestYaml);
  const columns = columnsOf(manifest);
  const { sha256, dataset } = await newestDataset(model, columns.width, dependencies);
  using _open = dataset;
  const judges = frozenPart(dataset) ?? dataset.holdout;
  const part = rowsBetween(judges, 0, Math.min(judges.rows, MOST_ROWS));
  if (part.rows < LEAST_ROWS)
    throw refused(`${part.rows} held-out rows say nothing; at least ${LEAST_ROWS} are needed`);
  const metric = gateMetric(trainableTask(manifest), trainingSpec(manifest).gate.metric);
  const sign = LARGER_IS_BETTER[metric] ? 1 : -1;
  const output = manifest.output === undefined ? {} : { output: manifest.output };
  const score = async (model: Uint8Array, rows: DatasetPart): Promise<Scores> => {
    const [scores] = await trainer.score({ models: [model], dataset: rows, ...output }, LIMITS);
    if (!scores) throw new HotloopError('INTERNAL', 'the scores of a model were asked for');
    return scores;
  };
  const value = measure(manifest, metric, await score(bundle.onnx, part), part);
  const shuffles = columns.features.flatMap((feature) =>
    feature.width === 0 ? [] : Array.from({ length: repeats }, () => feature),
  );
  const random = new SeededRandom(SEED);
  const losses = new Map<string, number[]>();
  const atOnce = Math.max(1, Math.floor(MOST_CELLS / Math.max(1, part.rows * part.columns)));
  for (let from = 0; from < shuffles.length; from += atOnce) {
    const chunk = shuffles.slice(from, from + atOnce);
    const scores = await score(
      bundle.onnx,
      joinParts(chunk.map((feature) => shuffled(part, feature.offset, feature.width, random))),
    );
    const size = part.rows * scores.columns;
    for (const [index, { name }] of chunk.entries()) {
      const own = {
        columns: scores.columns,
        values: scores.values.subarray(index * size, (index + 1) * size),
      };
      const loss = sign * (value - measure(manifest, metric, own, part));
      losses.set(name, [...(losses.get(name) ?? []), loss]);
    }
  }
  const features = [...losses].map(([feature, all]) => importanceOf(feature, all));
  features.sort((a, b) => b.importance - a.importance);
  const common = { model, version: found.version, dataset: sha256, metric, value, rows: part.rows, features };
  if (!retrain) return { ...common, retrained: null, note: 'not asked for' };
  return {
    ...common,
    ...(await compareTrained(manifest, dataset, part, features, metric, score, dependencies)),
  };
}

/** The metric with and without the useless features, each trained from the same untrained network of its size. */
async function compareTrained(
  manifest: Manifest,
  dataset: Dataset,
  part: DatasetPart,
  features: readonly FeatureImportance[],
  metric: Metric,
  score: (model: Uint8Array, rows: DatasetPart) => Promise<Scores>,
  { trainer }: FirstVersionDependencies,
): Promise<Pick<FeatureSelection, 'retrained' | 'note'>> {
  const useless = new Set(features.filter((one) => one.useless).map(({ feature }) => feature));
  if (useless.size === 0) return { retrained: null, note: 'no feature is useless' };
  if (useless.size === features.length) return { retrained: null, note: 'every feature is useless here' };
  const reduced = withoutFeatures(manifest, useless);
  const kept = columnsOf(manifest).features.filter(({ name }) => !useless.has(name));
  const places = kept.flatMap(({ offset, width }) => Array.from({ length: width }, (_, at) => offset + at));
  const settings = trainingSettings(manifest);
  const train = async (of: Manifest, rows: DatasetPart, validation: DatasetPart) => {
    const modelBytes = untrainedNetwork({ ...of, golden: undefined } as Manifest);
    const trained = await trainer.train(
      {
        modelBytes,
        dataset: joinParts([rows, validation]),
        settings: { ...settings, validationRows: validation.rows },
      },
      LIMITS,
    );
    return trained.modelBytes;
  };
  try {
    const [rows, validation] = [newestFitting(dataset.training), newestFitting(dataset.validation)];
    const full = await train(manifest, rows, validation);
    const small = await train(reduced, picked(rows, places), picked(validation, places));
    const against = await score(full, part);
    const candidate = await score(small, picked(part, places));
    const compared = compareScores(manifest, metric, candidate, against, part);
    return { retrained: { ...compared, kept: kept.map(({ name }) => name) }, note: '' };
  } catch (error) {
    if (!(error instanceof HotloopError) || error.code === 'INTERNAL') throw error;
    return { retrained: null, note: `it cannot be trained from the beginning: ${error.message}` };
  }
}

/** Features that others are made of stay, hidden. */
function withoutFeatures(manifest: Manifest, useless: ReadonlySet<string>): Manifest {
  const compiled = compileFeatures(manifest.features, manifest.task === 'ranking');
  const used = new Set(
    compiled.flatMap(({ name, uses }) =>
      useless.has(name) ? [] : uses.map((place) => compiled[place]?.name ?? ''),
    ),
  );
  const features = manifest.features.flatMap((feature) => {
    if (!useless.has(feature.name)) return [feature];
    return used.has(feature.name) ? [{ ...feature, hidden: true }] : [];
  });
  return { ...manifest, features };
}

async function newestDataset(
  model: string,
  width: number,
  { pool, objects }: FirstVersionDependencies,
): Promise<{ sha256: string; dataset: LoadedDataset }> {
  const found = (await listDatasets(pool, model)).find(({ columns }) => columns === width);
  if (found === undefined)
    throw refused(
      'no dataset has its columns yet; train a version, or build one with `hotloop dataset build`',
    );
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-select-'));
  try {
    const path = join(folder, 'dataset.parquet');
    await objects.getFile(datasetKey(found.sha256), path);
    return { sha256: found.sha256, dataset: await loadDataset(path) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function importanceOf(feature: string, losses: readonly number[]): FeatureImportance {
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  const spread = losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0) / Math.max(1, losses.length - 1);
  const error = Math.sqrt(spread / losses.length);
  return { feature, importance: mean, error, useless: mean <= 2 * error };
}

/** The rows with the columns of one feature in another order, all of the feature's columns together. */
function shuffled(part: DatasetPart, offset: number, width: number, random: SeededRandom): DatasetPart {
  const { rows, columns } = part;
  const order = Uint32Array.from({ length: rows }, (_, row) => row);
  for (let row = rows - 1; row > 0; row--) {
    const other = Math.floor(random.uniform() * (row + 1));
    [order[row], order[other]] = [order[other]!, order[row]!];
  }
  const cells = cellsOfRows(part, order);
  const features = cellsOfRows(
    part,
    order.map((_, row) => row),
  );
  for (let from = 0; from < features.length; from += columns)
    features.set(cells.subarray(from + offset, from + offset + width), from + offset);
  return { ...part, features };
}

function picked(part: DatasetPart, places: readonly number[]): DatasetPart {
  const features = new Float32Array(part.rows * places.length);
  for (const { from, rows, cells } of cellBlocks(part))
    for (let row = 0; row < rows; row++)
      for (const [at, place] of places.entries())
        features[(from + row) * places.length + at] = cells[row * part.columns + place]!;
  const { inputs } = part;
  if (!inputs) return { ...part, columns: places.length, features };
  const kept = new Set(places);
  let start = 0;
  const narrowed = inputs.flatMap((input) => {
    const width = Array.from({ length: input.width }, (_, at) => start + at).filter((at) =>
      kept.has(at),
    ).length;
    start += input.width;
    if (width === 0) return [];
    return [{ ...input, width, shape: width === input.width ? input.shape : [width] }];
  });
  return { ...part, columns: places.length, features, inputs: narrowed };
}

/** What is trained on with other columns is in memory. */
function newestFitting(part: DatasetPart): DatasetPart {
  const most = Math.floor(MOST_CELLS / Math.max(1, part.columns));
  return part.rows <= most ? part : rowsBetween(part, part.rows - most, part.rows);
}

function refused(problem: string): HotloopError {
  return new HotloopError('FAILED_PRECONDITION', problem, { reason: 'cannot_select' });
}
