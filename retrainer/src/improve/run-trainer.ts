import { checkManifestFits } from '@hotloop/model/manifest/check-model.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { trainingSettings } from '@hotloop/model/training/training-settings.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type DatasetPart, joinParts } from '../datasets/dataset.ts';
import { datasetInputs } from '../datasets/dataset-inputs.ts';
import type { TrainingProgress } from '../training/train.ts';
import type { TrainerResult } from '../training/trainer-process.ts';
import type { ExternalParent, ExternalTrainer, Withheld } from './external-trainer.ts';
import type { RetrainHooks, Trainer } from './trainer.ts';

/** What a run trains. */
export interface TrainingTask {
  readonly manifest: Manifest;
  readonly parent: ExternalParent;
  /** What fine-tuning begins with: the parent's weights, or an untrained network. Null: a program trains, without a start. */
  readonly start: Uint8Array | null;
  readonly datasetSha256: string;
  readonly rows: DatasetPart;
  /** What an external trainer, which reads the stored dataset, is not given. */
  readonly withheld?: Withheld;
  /** Rows that decide when to stop; without them they are drawn from `rows` where the settings ask for it. */
  readonly validation?: DatasetPart;
}

export interface TrainedCandidate extends TrainerResult {
  /** Numbers that an external trainer reported. */
  readonly reported: Readonly<Record<string, number>>;
}

/**
 * Trains a candidate: by fine-tuning, or by the program that training.trainer names. What comes back fits the manifest and holds
 * numbers only. Rejects with what the trainer throws, INVALID_ARGUMENT for a model that does not fit.
 */
export async function runTrainer(
  task: TrainingTask,
  { trainer, external }: { readonly trainer: Trainer; readonly external?: ExternalTrainer },
  timeoutMs: number,
  hooks: RetrainHooks,
): Promise<TrainedCandidate> {
  const { manifest } = task;
  const spec = manifest.training?.trainer;
  const trained =
    spec === undefined
      ? { ...(await fineTune(task, trainer, timeoutMs, hooks)), reported: {} }
      : await (external ?? refuseExternal()).train(
          {
            ...{ spec, parent: task.parent, datasetSha256: task.datasetSha256 },
            ...(task.withheld === undefined ? {} : { withheld: task.withheld }),
            settings: externalSettings(manifest),
          },
          { timeoutMs, signal: hooks.signal },
        );
  const inspected = inspectModel(trained.modelBytes);
  checkManifestFits(manifest, inspected);
  if (inspected.nonFinite.length > 0)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `training left values that are not numbers in ${inspected.nonFinite[0]}`,
    );
  return trained;
}

function refuseExternal(): never {
  throw new HotloopError(
    'FAILED_PRECONDITION',
    'training.trainer names a program, but this process runs none: set HOTLOOP_TRAINERS to the folder of the programs',
    { reason: 'no_external_trainers' },
  );
}

/** What settings.json says of the model, beside training.trainer.settings. */
function externalSettings(manifest: Manifest): Record<string, unknown> {
  const { name, task, training, output, features } = manifest;
  const { epochs, batch, seed } = training ?? {};
  return {
    model: name,
    task,
    output: output ?? null,
    features: features.map((one) => one.name),
    ...datasetInputs(manifest),
    epochs,
    batch,
    seed,
  };
}

async function fineTune(
  { manifest, start, rows, validation }: TrainingTask,
  trainer: Trainer,
  timeoutMs: number,
  { onProgress, onCurve, signal, onCheckpoint, resume }: RetrainHooks,
): Promise<TrainerResult> {
  if (start === null) throw new HotloopError('INTERNAL', 'fine-tuning has no weights to begin with');
  const judges = validation !== undefined && validation.rows > 0 ? validation : null;
  const dataset = judges === null ? rows : joinParts([rows, judges]);
  const settings = {
    ...trainingSettings(manifest),
    ...(judges === null ? {} : { validationRows: judges.rows }),
  };
  const steps = settings.epochs * Math.ceil(rows.rows / settings.batch);
  return trainer.train(
    { modelBytes: start, dataset, settings },
    {
      timeoutMs,
      signal,
      ...(onCheckpoint === undefined ? {} : { onCheckpoint }),
      ...(resume === undefined ? {} : { resume }),
      onProgress: (progress) => {
        onCurve?.('loss', progress.step, progress.loss);
        onCurve?.('validation_loss', progress.step, progress.validationLoss);
        onProgress(Math.min(1, progress.step / steps), describe(progress));
      },
    },
  );
}

function describe({ epoch, epochs, loss, validationLoss }: TrainingProgress): string {
  const validated = validationLoss === null ? '' : `, validation loss ${validationLoss.toFixed(4)}`;
  return `epoch ${epoch} of ${epochs}, loss ${loss.toFixed(4)}${validated}`;
}
