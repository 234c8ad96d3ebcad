import { TextTable } from '@hotloop/model/features/flat-rows.ts';
import { type Columns, columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { decodeModel } from '@hotloop/model/onnx/model.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { datasetInputs } from '../datasets/dataset-inputs.ts';
import type { Trainer } from '../improve/trainer.ts';
import { loggedNumbers } from '../rollouts/logged-outputs.ts';
import { featureRows, type LoggedFeatures } from '../trace/feature-rows.ts';
import { flatFeatures } from '../trace/flat-features.ts';
import { writeInputGradient } from '../training/write-input-gradient.ts';
import {
  type Attributions,
  integratedGradients,
  pathOf,
  permutationAttributions,
  type Rows,
  walksOf,
} from './attributions.ts';
import { joinInputs } from './join-inputs.ts';
import type { ExplainedRow } from './read-explained-row.ts';

export type ExplanationMethod = 'integrated_gradients' | 'permutation';

export interface ExplainedFeature {
  readonly name: string;
  readonly from: string;
  readonly status: string;
  readonly values: readonly number[];
  readonly category: string | null;
  /** How much it moved the score up or down, in units of the score. */
  readonly attribution: number;
}

/** Which features moved one score, and by how much. */
export interface Explanation {
  readonly method: ExplanationMethod;
  /** Raw output of the model, before the decision calibrates it. */
  readonly score: number;
  /** The same as it was logged; null where no output was. */
  readonly logged: number | null;
  /** The score that attributions count from, and what it belongs to. */
  readonly reference: number;
  readonly referenceIs: string;
  /** What the attributions add up to, and by how much that differs from score - reference. */
  readonly sum: number;
  readonly gap: number;
  /** The class whose probability is explained; null where there are none. */
  readonly class: string | null;
  /** Largest effect first. */
  readonly features: readonly ExplainedFeature[];
}

export interface ExplainDependencies {
  readonly bundles: BundleStore;
  readonly trainer: Pick<Trainer, 'score'>;
}

const STEPS = [128, 2_048] as const;
/** A sum may differ from what it should be by this share of all effects, up and down, or by this much. */
const GAP_SHARE = 0.01;
const GAP_LEAST = 1e-4;
const WALKS = 64;
const MOST_SCORED = 60_000;
const SEED = 1;
const TIMEOUT_MS = 60_000;

/**
 * Explains one row of a logged prediction: integrated gradients over the differentiated graph; where the graph has none, or their sum
 * misses the score, Shapley values over random permutations. The reference is the mean of recent rows, or single recent rows. Runs in
 * a process of its own. Features that feed several inputs are explained as one row of all of them. Rejects FAILED_PRECONDITION `not_explainable` for
 * models without features and for rows whose features are not logged, INVALID_ARGUMENT for a row that the prediction does not have.
 */
export async function explainPrediction(
  logged: ExplainedRow,
  rowIndex: number,
  { bundles, trainer }: ExplainDependencies,
): Promise<Explanation> {
  const bundle = await bundles.get(logged.bundleSha256);
  const manifest = parseManifest(bundle.manifestYaml);
  const layout = columnsOf(manifest);
  const texts = new TextTable();
  const shown = rowOf(manifest, logged, rowIndex, texts);
  const row = numbersOf(shown);
  const background = logged.background.flatMap((one) => {
    const flat = flatFeatures(manifest, one, texts);
    return flat === null ? [] : [numbersOf(cut(flat, 0))];
  });
  const groups = layout.features.filter(({ width }) => width > 0);
  const [rowShape, numbers] = outputOf(logged, manifest);
  const columns = rowShape.reduce((product, size) => product * size, 1);
  const column = columnOf(
    manifest,
    numbers?.subarray(rowIndex * columns, (rowIndex + 1) * columns) ?? null,
    columns,
  );
  const score = async (model: Uint8Array, { rows, values }: Rows, output: string | undefined) => {
    const dataset = {
      ...{ rows, columns: row.length, features: values },
      ...{ labels: new Float32Array(rows), weights: new Float32Array(rows) },
      // The graph of the gradient takes all inputs as one row.
      ...(model === bundle.onnx ? { ...datasetInputs(manifest), texts: texts.texts } : {}),
    };
    const job = { models: [model], dataset, ...(output === undefined ? {} : { output }) };
    const [given] = await trainer.score(job, { timeoutMs: TIMEOUT_MS });
    if (!given) throw new HotloopError('INTERNAL', 'the scoring process gave no scores');
    return given;
  };

  const reference = meanOf(background, row.length);
  const gradient = gradientGraph(bundle.onnx, manifest, rowShape, column);
  if (gradient !== null)
    for (const steps of STEPS) {
      const given = await score(gradient, pathOf(row, reference, steps), undefined);
      const found = integratedGradients(row, reference, given.values, groups);
      if (isSummedUp(found))
        return explanationOf('integrated_gradients', found, {
          ...{ shown, texts, manifest, layout, rowIndex, column, columns, numbers },
          referenceIs: describeMean(background.length),
        });
    }
  const walks = Math.max(2, Math.min(WALKS, 2 * Math.floor(MOST_SCORED / (groups.length + 1) / 2)));
  const walked = walksOf(row, background.length === 0 ? [reference] : background, groups, walks, SEED);
  const given = await score(bundle.onnx, walked, manifest.output);
  const picked = Float64Array.from(
    { length: walked.rows },
    (_, index) => given.values[index * given.columns + Math.min(column, given.columns - 1)] ?? 0,
  );
  return explanationOf('permutation', permutationAttributions(walked.orders, picked, groups.length), {
    ...{ shown, texts, manifest, layout, rowIndex, column, columns, numbers },
    referenceIs:
      background.length === 0
        ? 'features that are all 0: no other prediction is logged'
        : `${Math.min(walks / 2, background.length)} recent predictions, on average`,
  });
}

interface About {
  /** The row that is explained, its inputs side by side. */
  readonly shown: LoggedFeatures;
  readonly texts: TextTable;
  readonly manifest: Manifest;
  readonly layout: Columns;
  readonly rowIndex: number;
  readonly column: number;
  readonly columns: number;
  readonly numbers: Float64Array | null;
  readonly referenceIs: string;
}

function explanationOf(method: ExplanationMethod, found: Attributions, about: About): Explanation {
  const { shown, texts, manifest, layout, rowIndex, column, columns, numbers, referenceIs } = about;
  const values = featureRows(manifest, shown, texts)[0] ?? [];
  const visible = layout.features.flatMap(({ width }, index) => (width > 0 ? [values[index]] : []));
  const features = visible.flatMap((feature, index) =>
    feature === undefined ? [] : [{ ...feature, attribution: found.byFeature[index] ?? 0 }],
  );
  const sum = found.byFeature.reduce((total, value) => total + value, 0);
  return {
    method,
    score: found.score,
    logged: numbers?.[rowIndex * columns + column] ?? null,
    reference: found.reference,
    referenceIs,
    sum,
    gap: sum - (found.score - found.reference),
    class: classOf(manifest, column),
    features: features.toSorted((a, b) => Math.abs(b.attribution) - Math.abs(a.attribution)),
  };
}

function rowOf(manifest: Manifest, logged: ExplainedRow, rowIndex: number, texts: TextTable): LoggedFeatures {
  const flat = flatFeatures(manifest, logged, texts);
  if (flat === null)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      'only predictions whose features are logged can be explained; those of this one are not',
      { reason: 'not_explainable' },
    );
  if (rowIndex >= logged.rows)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `row ${rowIndex} is not there: the prediction has ${logged.rows} row(s), counted from 0`,
    );
  return cut(flat, rowIndex);
}

/** One row of feature rows. */
function cut({ rows, columns, features, statuses }: LoggedFeatures, row: number): LoggedFeatures {
  const each = statuses === null ? 0 : statuses.length / rows;
  return {
    ...{ rows: 1, columns, features: features?.subarray(row * columns * 4, (row + 1) * columns * 4) ?? null },
    statuses: statuses?.subarray(row * each, (row + 1) * each) ?? null,
  };
}

function numbersOf({ columns, features }: LoggedFeatures): Float32Array {
  const bytes = features ?? Buffer.alloc(0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: columns }, (_, column) => view.getFloat32(column * 4, true));
}

/** The shape of one row's output, and its logged numbers. A model whose outputs were not logged is taken to give one column. */
function outputOf(logged: ExplainedRow, manifest: Manifest): [readonly number[], Float64Array | null] {
  const { outputs, outputSpec } = logged;
  if (outputs === null || outputSpec === null) return [[1], null];
  const spec = outputSpec.find(({ name }) => name === manifest.output) ?? outputSpec[0];
  return [spec?.shape.slice(1) ?? [1], loggedNumbers({ outputs, output_spec: outputSpec }, manifest.output)];
}

/** The column of the most probable class; else the last one, which is the positive class of two. */
function columnOf(manifest: Manifest, numbers: Float64Array | null, columns: number): number {
  if (manifest.task !== 'multiclass' || numbers === null) return columns - 1;
  return numbers.indexOf(Math.max(...numbers));
}

function classOf({ task, decision }: Manifest, column: number): string | null {
  return task === 'multiclass' || task === 'multilabel'
    ? (decision.labels?.[column] ?? String(column))
    : null;
}

/** Null for a model that has no gradient by its input. */
function gradientGraph(
  onnx: Uint8Array,
  manifest: Manifest,
  rowShape: readonly number[],
  column: number,
): Uint8Array | null {
  if (rowShape.length > 1) return null;
  try {
    return writeInputGradient(joinInputs(decodeModel(onnx), manifest), {
      output: manifest.output,
      column: rowShape.length === 0 ? null : column,
      columns: rowShape[0] ?? 1,
    });
  } catch (error) {
    if (error instanceof HotloopError && error.code === 'INVALID_ARGUMENT') return null;
    throw error;
  }
}

function isSummedUp({ byFeature, score, reference }: Attributions): boolean {
  const sum = byFeature.reduce((total, value) => total + value, 0);
  const effects = byFeature.reduce((total, value) => total + Math.abs(value), 0);
  return Math.abs(sum - (score - reference)) <= Math.max(GAP_LEAST, GAP_SHARE * effects);
}

function meanOf(rows: readonly Float32Array[], columns: number): Float32Array {
  return Float32Array.from(
    { length: columns },
    (_, column) => rows.reduce((sum, row) => sum + (row[column] ?? 0), 0) / Math.max(1, rows.length),
  );
}

function describeMean(count: number): string {
  return count === 0
    ? 'features that are all 0: no other prediction is logged'
    : `the mean features of ${count} recent rows`;
}
