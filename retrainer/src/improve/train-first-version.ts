import { checkManifestFits } from '@hotloop/model/manifest/check-model.ts';
import type { Metric } from '@hotloop/model/manifest/gate-schema.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { replaceGolden } from '@hotloop/model/manifest/replace-golden.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { trainableTask } from '@hotloop/model/training/trainable-task.ts';
import { trainingSettings, trainingSpec } from '@hotloop/model/training/training-settings.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import { type BundleStore, sha256 } from '@hotloop/platform/registry/bundle-store.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Dataset } from '../datasets/dataset.ts';
import { type ImportDependencies, importDataset } from '../datasets/import-dataset.ts';
import type { LabelledColumns } from '../datasets/labelled-rows.ts';
import { keepBaseline } from '../monitoring/keep-baseline.ts';
import { registerVersion } from '../registry/version-store.ts';
import { untrainedNetwork } from '../registry/weights-without-file.ts';
import type { ModelScores } from '../training/score-model.ts';
import { compareScores } from './compare-scores.ts';
import { constantScores } from './constant-baseline.ts';
import { gateMetric, shown } from './gate.ts';
import { goldenExamples } from './golden-examples.ts';
import { measureAll } from './measure.ts';
import type { Trainer } from './trainer.ts';

export interface FirstVersionDependencies extends ImportDependencies {
  readonly bundles: BundleStore;
  readonly trainer: Trainer;
  readonly clock: Clock;
}

export interface FirstVersion {
  readonly model: string;
  readonly version: number;
  readonly created: boolean;
  readonly dataset: string;
  readonly examples: number;
  readonly refused: number;
  readonly problems: readonly string[];
  readonly metrics: Readonly<Record<string, number>>;
}

const LEAST_ROWS = 20;

/**
 * Trains a version from a file with labels: no live predictions are needed. The file becomes the model's imported history, the
 * network is the one that training.network declares, and what is held out measures it. The version is registered, not promoted.
 * Throws INVALID_ARGUMENT for a file that cannot be learnt from, with the count and what is missing.
 */
export async function trainFirstVersion(
  path: string,
  manifestYaml: string,
  columns: LabelledColumns,
  actor: string,
  dependencies: FirstVersionDependencies,
  limits: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<FirstVersion> {
  const { pool, bundles, trainer, clock } = dependencies;
  const manifest = parseManifest(manifestYaml);
  const task = trainableTask(manifest);
  const untrained = untrainedNetwork(manifest);
  const dataset = await importDataset(path, manifest, columns, dependencies);
  refuseHopeless(manifest, dataset.training.labels, dataset.training.features, dataset.training.columns);
  const trained = await trainer.train(
    { modelBytes: untrained, dataset: dataset.training, settings: trainingSettings(manifest) },
    limits,
  );
  checkManifestFits(manifest, inspectModel(trained.modelBytes));
  const output = manifest.output === undefined ? {} : { output: manifest.output };
  const [scores] = await trainer.score(
    { models: [trained.modelBytes], dataset: dataset.holdout, ...output },
    limits,
  );
  if (!scores) throw new HotloopError('INTERNAL', 'the scores of the trained model were asked for');
  const metric = gateMetric(task, trainingSpec(manifest).gate.metric);
  const constant = refuseConstant(manifest, metric, scores, dataset);
  const metrics = Object.fromEntries(
    [
      ...measureAll(manifest, metric, scores, dataset.holdout),
      [`constant_${metric}`, constant] as const,
      ['held_out', dataset.holdout.rows] as const,
      ['trained_on', dataset.training.rows] as const,
      ['loss', trained.metrics.loss] as const,
    ].filter(([, value]) => Number.isFinite(value)),
  );
  const golden = await goldenExamples(manifest, trained.modelBytes, dataset.holdout, trainer, limits);
  const bundle = { manifestYaml: replaceGolden(manifestYaml, golden), onnx: trained.modelBytes };
  const bundleSha256 = await bundles.put(bundle);
  const version = {
    model: manifest.name,
    bundleSha256,
    onnxSha256: sha256(bundle.onnx),
    manifest: parseManifest(bundle.manifestYaml),
    note: `trained on ${dataset.training.rows} rows of a file`,
    trained: { parentVersion: null, datasetSha256: dataset.sha256, runId: null, metrics },
    actor,
    at: clock.now(),
  };
  const registered = await registerVersion(pool, version, (client, number) =>
    keepBaseline(client, manifest, number, dataset.training),
  );
  return {
    model: manifest.name,
    ...registered,
    dataset: dataset.sha256,
    examples: dataset.examples,
    refused: dataset.refused,
    problems: dataset.problems,
    metrics,
  };
}

/**
 * The metric of the best constant prediction on what is held out. Throws FAILED_PRECONDITION where the trained model is no
 * better: it has learnt nothing.
 */
function refuseConstant(
  manifest: Manifest,
  metric: Metric,
  scores: ModelScores,
  { training, holdout }: Pick<Dataset, 'training' | 'holdout'>,
): number {
  const constant = constantScores(manifest, training, holdout.rows, scores.columns);
  if (constant === null || holdout.rows === 0) return Number.NaN;
  const { candidate, against, improvement } = compareScores(manifest, metric, scores, constant, holdout);
  if (improvement <= 0)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `the trained model is no better than always predicting the same: ${metric} ${shown(candidate)} against ` +
        `${shown(against)} on ${holdout.rows} held-out rows; raise training.epochs or the learning rate, or add features ` +
        'that tell more about the label',
      { reason: 'no_better_than_constant' },
    );
  return against;
}

/** A file with one class, all-equal labels or only constant columns teaches nothing: better said than trained. */
function refuseHopeless(
  manifest: Manifest,
  labels: Float32Array,
  features: Float32Array,
  columns: number,
): void {
  const refuse = (problem: string) => {
    throw new HotloopError('INVALID_ARGUMENT', `the file cannot be learnt from: ${problem}`, {
      reason: 'nothing_to_learn',
    });
  };
  if (labels.length < LEAST_ROWS)
    refuse(`it has ${labels.length} rows to learn from; at least ${LEAST_ROWS} are needed`);
  if (labels.every((label) => label === labels[0]))
    refuse(
      manifest.task === 'regression'
        ? `all ${labels.length} labels are ${labels[0]}`
        : `all ${labels.length} rows to learn from have one class (label ${labels[0]}); rows of another are missing`,
    );
  const varies = features.some((value, index) => index >= columns && value !== features[index % columns]);
  if (!varies) refuse(`all ${columns} columns are constant`);
}
