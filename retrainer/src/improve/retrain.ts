import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { replaceGolden } from '@hotloop/model/manifest/replace-golden.ts';
import { trainingSpec } from '@hotloop/model/training/training-settings.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { type Bundle, type BundleStore, sha256 } from '@hotloop/platform/registry/bundle-store.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { CollectOptions } from '../datasets/collect-dataset.ts';
import { type DatasetPart, frozenPart } from '../datasets/dataset.ts';
import type { CollectedDataset, DatasetCollector } from '../datasets/dataset-collector.ts';
import { storeDataset } from '../datasets/dataset-store.ts';
import { keepBaseline } from '../monitoring/keep-baseline.ts';
import { findVersion, insertVersion } from '../registry/version-store.ts';
import { untrainedNetwork } from '../registry/weights-without-file.ts';
import { type PromotionOptions, promote } from '../rollouts/promote.ts';
import { readModelState } from '../rollouts/promotion-store.ts';
import type { TrainingRun } from '../runs/run.ts';
import { advanceRun, type RunClaim } from '../runs/run-store.ts';
import type { TrainerResult } from '../training/trainer-process.ts';
import { crossValidate, type FoldedScores, foldedRows } from './cross-validate.ts';
import type { ExternalTrainer } from './external-trainer.ts';
import type { GateVerdict } from './gate.ts';
import { goldenExamples } from './golden-examples.ts';
import { judgeOnHoldout } from './judge-candidate.ts';
import { judgeTrial, splitForTrials } from './judge-trial.ts';
import { nothingToLearn } from './nothing-to-learn.ts';
import { readRegressionCases } from './regression-cases.ts';
import { checkpointing, checkpointKey, keptTraining } from './run-checkpoints.ts';
import { changesNetwork, hardware, parametersOf, withOverrides } from './run-overrides.ts';
import { runTrainer, type TrainedCandidate, type TrainingTask } from './run-trainer.ts';
import type { RetrainHooks, Trainer } from './trainer.ts';

export interface RetrainDependencies {
  readonly pool: Pool;
  readonly bundles: BundleStore;
  readonly datasets: DatasetCollector;
  readonly trainer: Trainer;
  /** Runs the programs that training.trainer names; absent: none is run here. */
  readonly external?: ExternalTrainer;
  /** Where checkpoints of a training are kept until it ends; absent: a lost training begins again. */
  readonly checkpoints?: ObjectStore;
  readonly clock: Clock;
}

export interface RetrainOptions {
  readonly collect: CollectOptions;
  readonly promotion: PromotionOptions;
  /** Each child process is ended after it. */
  readonly trainTimeoutMs: number;
}

/** The live version when the run began: what the candidate starts from and is judged against. */
interface Parent {
  readonly version: number;
  readonly generation: number;
  readonly manifest: Manifest;
  readonly bundle: Bundle;
  /** The weights that fine-tuning begins with. */
  readonly start: Uint8Array;
}

/**
 * One improvement, from outcomes to the next live version: collect -> train -> judge -> register -> promote. Every step is
 * written with the claim's token, so a worker that lost its lease cannot change the run any more. The next worker starts again,
 * from a checkpoint where there is one; once the version is registered, it continues with the promotion. Resolves with the ended
 * run, `succeeded` or `refused`. The worker decides by the error whether a failed run is tried again.
 */
export async function retrain(
  claim: RunClaim,
  dependencies: RetrainDependencies,
  options: RetrainOptions,
  hooks: RetrainHooks,
): Promise<TrainingRun> {
  const { pool, clock } = dependencies;
  if (claim.run.state === 'promoting') return promoteAndEnd(claim, claim.run, dependencies, options, hooks);

  const parent = await readParent(claim.run, dependencies);
  const spec = trainingSpec(parent.manifest);
  hooks.onProgress(0, 'collecting what was logged and what happened');
  const kept = await keptTraining(claim.run, dependencies);
  using dataset =
    kept?.dataset ??
    (await dependencies.datasets.collect(parent.manifest, parent.version, clock.now(), options.collect, {
      ...{ timeoutMs: options.trainTimeoutMs, signal: hooks.signal },
    }));
  const collected = {
    parentVersion: parent.version,
    datasetSha256: dataset.sha256,
    examples: dataset.examples,
    parameters: parametersOf(parent.manifest),
    hardware: hardware(),
  };
  const keep = async (client: Parameters<typeof storeDataset>[0]) => {
    await storeDataset(client, dataset.row);
    return {};
  };
  const folded = foldedRows(parent.manifest, dataset);
  const learnt = folded ?? dataset.training;
  const unlearnable = nothingToLearn(parent.manifest, learnt);
  const shortage =
    shortageOf(dataset, folded, spec.gate.min_examples) ??
    (unlearnable === null ? null : `nothing can be learnt: ${unlearnable}${absence(dataset)}`);
  if (shortage !== null)
    return advanceRun(pool, claim, 'refused', { ...collected, message: shortage }, clock.now(), keep);
  const judges = folded === null ? `${dataset.holdout.rows} held out` : `judged in ${spec.data.folds} folds`;
  const message = `${learnt.rows} rows to learn from, ${judges}${absence(dataset)}`;
  await advanceRun(pool, claim, 'collected', { ...collected, message }, clock.now(), keep);

  if (claim.run.kind === 'trial') return tryOut(claim, parent, dataset, dependencies, options, hooks);
  const trained = await runTrainer(
    {
      ...taskOf(parent, dataset, learnt),
      ...(folded === null ? { validation: dataset.validation } : { withheld: { fold: null } }),
    },
    dependencies,
    options.trainTimeoutMs,
    { ...hooks, ...checkpointing(claim, kept?.checkpoint, dependencies) },
  );
  const scored = folded && (await scoreInFolds(folded, parent, dataset, dependencies, options, hooks));
  await advanceRun(
    pool,
    claim,
    'trained',
    { progress: 1, message: 'comparing with the live version' },
    clock.now(),
  );
  await dependencies.checkpoints?.remove(checkpointKey(claim.run.runId)).catch(() => undefined);

  const judged = folded && scored ? { ...dataset, training: folded, holdout: folded, scored } : dataset;
  const { gate, metrics } = await judge(parent, trained, judged, dependencies, options, hooks.signal);
  if (!gate.passed)
    return advanceRun(pool, claim, 'refused', { message: gate.message, gate, metrics }, clock.now());
  await advanceRun(pool, claim, 'passed', { message: gate.message, gate, metrics }, clock.now());

  const bundle = await bundleOf(parent, trained, dataset, dependencies, options, hooks.signal);
  const registered = await register(claim, parent, bundle, dataset, metrics, dependencies);
  if (registered.endedAt !== null) return registered;
  return promoteAndEnd(claim, registered, dependencies, options, hooks, parent.generation);
}

async function readParent(
  { model, overrides }: TrainingRun,
  { pool, bundles }: RetrainDependencies,
): Promise<Parent> {
  const state = await readModelState(pool, model);
  if (state.liveVersion === null)
    throw new HotloopError('FAILED_PRECONDITION', `model ${model} has no live version; promote one first`, {
      reason: 'no_live_version',
    });
  const { bundleSha256 } = await findVersion(pool, model, state.liveVersion);
  const bundle = await bundles.get(bundleSha256);
  const manifest = withOverrides(parseManifest(bundle.manifestYaml), overrides);
  if (manifest.runtime.remote !== undefined)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${model} is served by another server and cannot be trained here; train it there and push its new version`,
      { reason: 'remote_model' },
    );
  // Another network begins untrained; golden outputs are those of the parent's weights.
  const start = changesNetwork(overrides)
    ? untrainedNetwork({ ...manifest, golden: undefined })
    : bundle.onnx;
  return { version: state.liveVersion, generation: state.generation, manifest, bundle, start };
}

/** For the run's message: labels and rows that are not in the dataset, and why; empty when none are missing. */
function absence({ missing, notes }: CollectedDataset): string {
  const late =
    missing === 0
      ? ''
      : `; ${missing} labels are missing, because their predictions are not in the log yet: retrain again later`;
  return `${late}${notes.length === 0 ? '' : `; ${notes.join('; ')}`}`;
}

function shortageOf(
  dataset: CollectedDataset,
  folded: DatasetPart | null,
  minExamples: number,
): string | null {
  const { training, holdout, pending, unmatched, unusable } = dataset;
  if (training.rows > 0 && (folded ?? holdout).rows >= minExamples) return null;
  const waiting = `${pending} wait for the end of their window, ${unmatched} outcomes match no prediction`;
  const left = unusable > 0 ? `, ${unusable} logged vectors cannot be used` : '';
  return (
    `too few labelled examples: ${training.rows} to learn from and ${holdout.rows} held out of ${dataset.examples}; ` +
    `the gate asks for ${minExamples} held out, or for as many in all where training.data.folds cross-validates ` +
    `(${waiting}${left})${absence(dataset)}`
  );
}

function taskOf(
  { manifest, bundle, start }: Parent,
  dataset: CollectedDataset,
  rows: DatasetPart,
): TrainingTask {
  return { manifest, parent: bundle, start, datasetSha256: dataset.sha256, rows };
}

/** Every row scored by a training that has not learnt from it. */
function scoreInFolds(
  folded: DatasetPart,
  parent: Parent,
  dataset: CollectedDataset,
  dependencies: RetrainDependencies,
  { trainTimeoutMs }: RetrainOptions,
  hooks: RetrainHooks,
): Promise<FoldedScores> {
  const { manifest, bundle } = parent;
  const train = async (rows: DatasetPart, fold: number) => {
    const quiet = {
      signal: hooks.signal,
      onProgress: (progress: number, message: string) =>
        hooks.onProgress(progress, `fold ${fold + 1}: ${message}`),
    };
    const task = { ...taskOf(parent, dataset, rows), withheld: { fold } };
    return (await runTrainer(task, dependencies, trainTimeoutMs, quiet)).modelBytes;
  };
  const limits = { timeoutMs: trainTimeoutMs, signal: hooks.signal };
  return crossValidate(folded, bundle.onnx, manifest.output, train, dependencies.trainer, limits);
}

/** A trial of a search: learns from the older training rows, is measured on the newer ones, and is never registered. */
async function tryOut(
  claim: RunClaim,
  parent: Parent,
  dataset: CollectedDataset,
  dependencies: RetrainDependencies,
  { trainTimeoutMs }: RetrainOptions,
  hooks: RetrainHooks,
): Promise<TrainingRun> {
  const { pool, clock, trainer } = dependencies;
  const { fit, judge: judges } = splitForTrials(dataset.training);
  const fromGroup = judges.groups[0];
  const task = {
    ...taskOf(parent, dataset, fit),
    ...(fromGroup === undefined ? {} : { withheld: { fromGroup } }),
  };
  const trained = await runTrainer(task, dependencies, trainTimeoutMs, hooks);
  await advanceRun(pool, claim, 'trained', { progress: 1 }, clock.now());
  const limits = { timeoutMs: trainTimeoutMs, signal: hooks.signal };
  const metrics = await judgeTrial(parent.manifest, trained.modelBytes, judges, trainer, limits);
  await advanceRun(pool, claim, 'passed', { metrics: { ...metrics, trained_on: fit.rows } }, clock.now());
  const message = `measured on ${judges.rows} rows that it has not learnt from`;
  return advanceRun(pool, claim, 'held', { message }, clock.now());
}

async function judge(
  parent: Parent,
  trained: TrainedCandidate,
  dataset: CollectedDataset & { readonly scored?: FoldedScores },
  { trainer, pool }: RetrainDependencies,
  options: RetrainOptions,
  signal: AbortSignal,
): Promise<{ gate: GateVerdict; metrics: Record<string, number> }> {
  const { manifest, bundle } = parent;
  const { gate, metrics } = await judgeOnHoldout(
    {
      ...{ manifest, live: bundle.onnx, candidate: trained.modelBytes },
      ...{ training: dataset.training, holdout: dataset.holdout, frozen: frozenPart(dataset) },
      ...(dataset.scored === undefined ? {} : { scored: dataset.scored }),
      corrections: await readRegressionCases(pool, manifest),
    },
    trainer,
    { timeoutMs: options.trainTimeoutMs, signal },
  );
  const entries: [string, number][] = [
    ...Object.entries(trained.reported),
    ...metrics,
    ['held_out', dataset.holdout.rows],
    ['trained_on', dataset.training.rows],
    ['loss', trained.metrics.loss],
    ['epochs', trained.metrics.epochs],
    ['seed', trainingSpec(manifest).seed],
  ];
  return { gate, metrics: Object.fromEntries(entries.filter(([, value]) => Number.isFinite(value))) };
}

/** The parent's model.yaml with golden examples of the new weights, beside these. */
async function bundleOf(
  { manifest, bundle }: Parent,
  { modelBytes, sha256: trainedSha256 }: TrainerResult,
  { holdout }: CollectedDataset,
  { trainer }: RetrainDependencies,
  { trainTimeoutMs }: RetrainOptions,
  signal: AbortSignal,
): Promise<Bundle> {
  if (trainedSha256 === sha256(bundle.onnx))
    throw new HotloopError(
      'FAILED_PRECONDITION',
      'training changed nothing; the trained weights are those of the live version',
    );
  const limits = { timeoutMs: trainTimeoutMs, signal };
  const golden = await goldenExamples(manifest, modelBytes, holdout, trainer, limits);
  return { manifestYaml: replaceGolden(bundle.manifestYaml, golden), onnx: modelBytes };
}

async function register(
  claim: RunClaim,
  parent: Parent,
  bundle: Bundle,
  dataset: CollectedDataset,
  metrics: Record<string, number>,
  { pool, bundles, clock }: RetrainDependencies,
): Promise<TrainingRun> {
  const { model, runId, hold } = claim.run;
  const at = clock.now();
  const bundleSha256 = await bundles.put(bundle);
  const isHeld = hold || parent.manifest.rollout.promote === 'manual';
  return advanceRun(pool, claim, isHeld ? 'held' : 'registered', {}, at, async (client) => {
    const { version } = await insertVersion(client, {
      model,
      bundleSha256,
      onnxSha256: sha256(bundle.onnx),
      manifest: parseManifest(bundle.manifestYaml),
      note: `retrained from version ${parent.version}`,
      trained: { parentVersion: parent.version, datasetSha256: dataset.sha256, runId, metrics },
      actor: 'retrainer',
      at,
    });
    await keepBaseline(client, parent.manifest, version, dataset.training);
    return {
      version,
      message: isHeld
        ? `version ${version} is registered and waits for its promotion`
        : `version ${version} is registered`,
    };
  });
}

async function promoteAndEnd(
  claim: RunClaim,
  run: TrainingRun,
  { pool, clock }: RetrainDependencies,
  options: RetrainOptions,
  hooks: RetrainHooks,
  generation?: number,
): Promise<TrainingRun> {
  const { model, version, parentVersion } = run;
  if (version === null) throw new HotloopError('INTERNAL', 'a run is promoting without a version');
  const state = await readModelState(pool, model);
  // A worker that was lost after the flip leaves a run whose version is live already.
  if (state.liveVersion !== version && state.liveVersion !== parentVersion)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `version ${version} was judged against version ${parentVersion}, but ${state.liveVersion} is live now; retrain`,
      { reason: 'live_version_changed' },
    );
  let last = `version ${version} is live`;
  await promote(
    { model, version, expectedGeneration: generation ?? state.generation, actor: 'retrainer' },
    { pool, clock },
    options.promotion,
    (progress) => {
      last = progress.message;
      hooks.onProgress(1, last);
    },
    hooks.signal,
  );
  return advanceRun(pool, claim, 'promoted', { message: last }, clock.now());
}
