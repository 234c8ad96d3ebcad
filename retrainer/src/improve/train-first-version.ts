import { randomUUID } from 'node:crypto';
import type { Metric } from '@hotloop/model/manifest/gate-schema.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { replaceGolden } from '@hotloop/model/manifest/replace-golden.ts';
import { trainableTask } from '@hotloop/model/training/trainable-task.ts';
import { trainingSpec } from '@hotloop/model/training/training-settings.ts';
import { openEventArchive } from '@hotloop/platform/archive/event-archive.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import { type BundleStore, sha256 } from '@hotloop/platform/registry/bundle-store.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Dataset, DatasetPart } from '../datasets/dataset.ts';
import { type ImportDependencies, importDataset } from '../datasets/import-dataset.ts';
import type { LabelledColumns } from '../datasets/labelled-rows.ts';
import type { EventsCountFrom } from '../datasets/past-events.ts';
import { keepBaseline } from '../monitoring/keep-baseline.ts';
import { registerVersion } from '../registry/version-store.ts';
import { untrainedNetwork } from '../registry/weights-without-file.ts';
import { insertFirstRun } from '../runs/run-store.ts';
import type { ModelScores } from '../training/score-model.ts';
import { compareScores } from './compare-scores.ts';
import { constantScores } from './constant-baseline.ts';
import { crossValidate, foldedRows } from './cross-validate.ts';
import type { ExternalTrainer, Withheld } from './external-trainer.ts';
import { gateMetric, shown } from './gate.ts';
import { goldenExamples } from './golden-examples.ts';
import { measureAll } from './measure.ts';
import { nothingToLearn } from './nothing-to-learn.ts';
import { hardware, parametersOf } from './run-overrides.ts';
import { runTrainer } from './run-trainer.ts';
import type { Trainer } from './trainer.ts';

export interface FirstVersionDependencies extends ImportDependencies {
  readonly bundles: BundleStore;
  readonly trainer: Trainer;
  /** Runs the program that training.trainer names; absent: none is run here. */
  readonly external?: ExternalTrainer;
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

/**
 * Trains a version from a file with labels: no live predictions are needed. The file becomes the model's imported history. What is
 * trained is the network that training.network declares, or what the program of training.trainer leaves. The held-out rows measure
 * it, or cross-validation where training.data.folds is declared and few would be held out. The version is registered, not promoted.
 * Features from history are those of each row's time, from archived events, where the file has a column of times.
 * Throws INVALID_ARGUMENT for a file that cannot be learnt from, with the count and what is missing.
 */
export async function trainFirstVersion(
  path: string,
  manifestYaml: string,
  columns: LabelledColumns,
  actor: string,
  dependencies: FirstVersionDependencies,
  limits: {
    readonly timeoutMs: number;
    readonly signal?: AbortSignal;
    readonly eventsCountFrom?: EventsCountFrom | undefined;
    /** Throws if the caller may not register the model; asked after the training, which takes minutes. */
    readonly permit?: (manifest: Manifest) => Promise<void>;
  },
): Promise<FirstVersion> {
  const { pool, bundles, objects, trainer, clock } = dependencies;
  const startedAt = clock.now();
  const runId = randomUUID();
  const manifest = parseManifest(manifestYaml);
  const task = trainableTask(manifest);
  const untrained = manifest.training?.trainer === undefined ? untrainedNetwork(manifest) : null;
  await using archive = readsHistory(manifest, columns) ? await openEventArchive(objects) : undefined;
  const past = archive && ({ archive, countFrom: limits.eventsCountFrom ?? 'arrival' } as const);
  using dataset = await importDataset(path, manifest, columns, dependencies, past);
  const folded = foldedRows(manifest, dataset);
  const unlearnable = nothingToLearn(manifest, folded ?? dataset.training);
  if (unlearnable !== null)
    throw new HotloopError('INVALID_ARGUMENT', `the file cannot be learnt from: ${unlearnable}`, {
      reason: 'nothing_to_learn',
    });
  const trainOn = (rows: DatasetPart, more: { validation?: DatasetPart; withheld?: Withheld }) =>
    runTrainer(
      {
        ...{ manifest, parent: { manifestYaml, onnx: untrained }, start: untrained },
        ...{ datasetSha256: dataset.sha256, rows, ...more },
      },
      dependencies,
      limits.timeoutMs,
      { onProgress: () => undefined, signal: limits.signal ?? new AbortController().signal },
    );
  const trained = folded
    ? await trainOn(folded, { withheld: { fold: null } })
    : await trainOn(dataset.training, { validation: dataset.validation });
  const output = manifest.output === undefined ? {} : { output: manifest.output };
  const judged = folded ?? dataset.holdout;
  const trainFold = async (rows: DatasetPart, fold: number) =>
    (await trainOn(rows, { withheld: { fold } })).modelBytes;
  const scores = folded
    ? (await crossValidate(folded, trained.modelBytes, manifest.output, trainFold, trainer, limits)).candidate
    : (await trainer.score({ models: [trained.modelBytes], dataset: judged, ...output }, limits))[0];
  if (!scores) throw new HotloopError('INTERNAL', 'the scores of the trained model were asked for');
  const metric = gateMetric(task, trainingSpec(manifest).gate.metric);
  const parts = { training: folded ?? dataset.training, holdout: judged };
  const constant = refuseConstant(manifest, metric, scores, parts);
  const metrics = Object.fromEntries(
    [
      ...Object.entries(trained.reported),
      ...measureAll(manifest, metric, scores, judged),
      [`constant_${metric}`, constant] as const,
      ['held_out', judged.rows] as const,
      ['trained_on', parts.training.rows] as const,
      ['folds', folded ? new Set(folded.folds).size : Number.NaN] as const,
      ['loss', trained.metrics.loss] as const,
    ].filter(([, value]) => Number.isFinite(value)),
  );
  const golden = await goldenExamples(manifest, trained.modelBytes, judged, trainer, limits);
  const bundle = { manifestYaml: replaceGolden(manifestYaml, golden), onnx: trained.modelBytes };
  await limits.permit?.(manifest);
  const bundleSha256 = await bundles.put(bundle);
  const version = {
    model: manifest.name,
    bundleSha256,
    onnxSha256: sha256(bundle.onnx),
    manifest: parseManifest(bundle.manifestYaml),
    note: `trained on ${parts.training.rows} rows of a file`,
    trained: { parentVersion: null, datasetSha256: dataset.sha256, runId, metrics },
    actor,
    at: clock.now(),
  };
  const registered = await registerVersion(pool, version, async (client, number) => {
    await insertFirstRun(client, {
      ...{ runId, model: manifest.name, version: number, datasetSha256: dataset.sha256 },
      ...{ reason: 'a first version from a file', examples: dataset.examples, metrics },
      message: `version ${number} is registered; trained on ${parts.training.rows} rows of a file`,
      ...{ parameters: parametersOf(manifest), hardware: hardware(), startedAt, endedAt: clock.now() },
    });
    await keepBaseline(client, manifest, number, dataset.training);
  });
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

function readsHistory(manifest: Manifest, { at }: LabelledColumns): boolean {
  return at !== null && manifest.features.some(({ from }) => from.startsWith('history.'));
}
