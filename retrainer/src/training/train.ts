import { decodeModel, type OnnxModel } from '@hotloop/model/onnx/model.ts';
import { replaceInitializers } from '@hotloop/model/onnx/replace-initializers.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { float32Tensor } from '@hotloop/model/onnx/tensor.ts';
import type { TrainingSettings } from '@hotloop/model/training/training-settings.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { inferShapes } from './infer-shapes.ts';
import { checkTrainingDataset, type TrainingDataset } from './training-dataset.ts';
import { TrainingSession } from './training-session.ts';
import { type Parameter, writeTrainingGraph } from './write-training-graph.ts';

export interface TrainingProgress {
  /** From 1. */
  readonly epoch: number;
  readonly epochs: number;
  /** Updates made so far. */
  readonly step: number;
  /** Mean training loss of the epoch so far. */
  readonly loss: number;
  /** At the end of an epoch, where examples were kept for it. */
  readonly validationLoss: number | null;
}

export interface TrainingMetrics {
  readonly examples: number;
  readonly validationExamples: number;
  readonly epochs: number;
  readonly steps: number;
  /** The epoch whose weights were kept; 0 when no epoch was better than the weights before training. */
  readonly bestEpoch: number;
  /** Mean training loss of the last epoch that ran. */
  readonly loss: number;
  readonly validationLossBefore: number | null;
  readonly validationLoss: number | null;
}

export interface TrainedModel {
  readonly modelBytes: Uint8Array;
  readonly metrics: TrainingMetrics;
}

export interface TrainingHooks {
  readonly onProgress?: (progress: TrainingProgress) => void;
  /** Checked before every update. */
  readonly signal?: AbortSignal;
}

/** Steps between two reports inside an epoch. */
const reportEvery = 100;

/**
 * Fine-tunes a model on ONNX Runtime in this process: one session executes the training graph, its parameters and
 * moments fed back at every step. With examples kept for validation, the weights of the best epoch are kept.
 *
 * Runs synchronously inside the runtime for the length of a step: belongs in a process that serves nothing else.
 *
 * @returns the same ONNX file with other weights.
 * @throws a coded error: INVALID_ARGUMENT for a model or dataset that does not fit, FAILED_PRECONDITION when the
 *   loss stops being a number, CANCELLED when the signal fires.
 */
export async function train(
  modelBytes: Uint8Array,
  dataset: TrainingDataset,
  settings: TrainingSettings,
  hooks: TrainingHooks = {},
): Promise<TrainedModel> {
  const model = decodeModel(modelBytes);
  const { input, classes } = signatureOf(model, dataset, settings);
  checkTrainingDataset(dataset, settings.loss, classes);
  const random = new SeededRandom(settings.seed);
  const { training, validation } = splitRows(dataset, settings.validationFraction, random);
  const common = {
    loss: settings.loss,
    trainable: settings.trainable,
    ...(settings.output === undefined ? {} : { output: settings.output }),
  };
  const step = writeTrainingGraph(model, { ...common, until: settings.optimizer });
  const judge = writeTrainingGraph(model, { ...common, until: 'loss' });
  const session = await TrainingSession.open(step, judge, input, settings.threads ?? 1);
  try {
    const outcome = await runEpochs(session, dataset, { training, validation }, settings, random, hooks);
    const weights = namedWeights(step.parameters, outcome.parameters);
    return { modelBytes: replaceInitializers(modelBytes, weights), metrics: outcome.metrics };
  } finally {
    await session.close();
  }
}

interface Split {
  readonly training: Uint32Array;
  readonly validation: Uint32Array;
}

async function runEpochs(
  session: TrainingSession,
  dataset: TrainingDataset,
  { training, validation }: Split,
  settings: TrainingSettings,
  random: SeededRandom,
  { onProgress, signal }: TrainingHooks,
): Promise<{ parameters: Float32Array; metrics: TrainingMetrics }> {
  const judges = validation.length > 0;
  const before = judges ? await session.lossOf(dataset, validation) : null;
  let best = { epoch: 0, loss: before ?? Number.POSITIVE_INFINITY, parameters: session.parameters };
  let [step, epoch, loss] = [0, 0, Number.NaN];
  while (epoch < settings.epochs && !isPatienceOver(judges, epoch, best.epoch, settings.patience)) {
    epoch++;
    random.shuffle(training);
    let [sum, seen] = [0, 0];
    for (let start = 0; start < training.length; start += settings.batch) {
      if (signal?.aborted) throw new HotloopError('CANCELLED', 'the training was cancelled');
      const rows = training.subarray(start, start + settings.batch);
      const batchLoss = await session.step(dataset, rows, settings.learningRate);
      step++;
      if (!Number.isFinite(batchLoss)) throw diverged(epoch, step, batchLoss);
      sum += batchLoss * rows.length;
      seen += rows.length;
      if (step % reportEvery === 0) {
        onProgress?.({ epoch, epochs: settings.epochs, step, loss: sum / seen, validationLoss: null });
      }
    }
    loss = sum / seen;
    const judged = judges ? await session.lossOf(dataset, validation) : null;
    if (judged !== null && !Number.isFinite(judged)) throw diverged(epoch, step, judged);
    if (judged === null || judged < best.loss) {
      best = { epoch, loss: judged ?? loss, parameters: session.parameters };
    }
    onProgress?.({ epoch, epochs: settings.epochs, step, loss, validationLoss: judged });
  }
  if (!best.parameters.every(Number.isFinite)) throw diverged(epoch, step, Number.NaN);
  return {
    parameters: best.parameters,
    metrics: {
      examples: training.length,
      validationExamples: validation.length,
      epochs: epoch,
      steps: step,
      bestEpoch: best.epoch,
      loss,
      validationLossBefore: before,
      validationLoss: judges ? best.loss : null,
    },
  };
}

function isPatienceOver(
  judges: boolean,
  epoch: number,
  bestEpoch: number,
  patience: number | undefined,
): boolean {
  return judges && patience !== undefined && epoch - bestEpoch >= patience;
}

function diverged(epoch: number, step: number, loss: number): HotloopError {
  return new HotloopError(
    'FAILED_PRECONDITION',
    `training diverged: the loss is ${loss} in epoch ${epoch}, step ${step}; lower the learning rate or check the labels`,
    { reason: 'training_diverged' },
  );
}

function signatureOf(
  model: OnnxModel,
  dataset: TrainingDataset,
  settings: TrainingSettings,
): { input: string; classes: number | null } {
  const { graph } = model;
  const inputs = graph.inputs.filter(({ name }) => !graph.initializers.has(name));
  const [input] = inputs;
  if (!input || inputs.length > 1 || input.elementType !== 'float32' || input.shape?.length !== 2) {
    const found = inputs.map(({ name, elementType, shape }) => `${name} ${elementType}[${shape}]`).join(', ');
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `training needs a model of one input float32[N, F]; this has ${found}`,
    );
  }
  const width = input.shape[1];
  if (typeof width === 'number' && width !== dataset.columns) {
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `the model's input '${input.name}' takes ${width} columns; the dataset has ${dataset.columns}`,
    );
  }
  const output = graph.outputs.find(({ name }) => name === settings.output) ?? graph.outputs[0];
  // What follows from the weights is surer than what the file declares, which may be an open dimension.
  const inferred = inferShapes(graph).get(output?.name ?? '')?.[1];
  const classes = typeof inferred === 'number' ? inferred : output?.shape?.[1];
  return { input: input.name, classes: typeof classes === 'number' ? classes : null };
}

/** Leaves out examples of weight 0, and draws those that validate. */
function splitRows(dataset: TrainingDataset, fraction: number, random: SeededRandom): Split {
  const rows = Uint32Array.from(dataset.weights.keys()).filter((row) => dataset.weights[row]! > 0);
  random.shuffle(rows);
  const kept = Math.min(Math.round(rows.length * fraction), rows.length - 1);
  return { validation: rows.slice(0, kept).sort(), training: rows.slice(kept) };
}

function namedWeights(parameters: readonly Parameter[], values: Float32Array) {
  return new Map(
    parameters.map(({ name, dims, offset, length }) => {
      return [name, float32Tensor(values.subarray(offset, offset + length), dims)] as const;
    }),
  );
}
