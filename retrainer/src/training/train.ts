import { decodeModel, type OnnxModel } from '@hotloop/model/onnx/model.ts';
import { replaceInitializers } from '@hotloop/model/onnx/replace-initializers.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { float32Tensor } from '@hotloop/model/onnx/tensor.ts';
import {
  type LossSpec,
  lossSpec,
  type Optimizer,
  type TrainingSettings,
} from '@hotloop/model/training/training-settings.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type BoundInput, bindInputs } from './bind-inputs.ts';
import type { Checkpoint } from './checkpoint.ts';
import { shuffleRows } from './feature-cells.ts';
import { inferShapes } from './infer-shapes.ts';
import { learningRateAt } from './learning-rate.ts';
import { addAdapters } from './low-rank.ts';
import {
  findUnits,
  lossFactor,
  type NaturalUnits,
  standardised,
  standardisedLoss,
  toNatural,
  toStandard,
  type Weights,
} from './natural-units.ts';
import { needsGroups } from './ranking-losses.ts';
import { checkTrainingDataset, type TrainingDataset } from './training-dataset.ts';
import { TrainingSession } from './training-session.ts';
import { type Parameter, type TrainingGraph, writeTrainingGraph } from './write-training-graph.ts';

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
  /** Called between updates, `checkpointMs` apart at least, with the state to resume from. */
  readonly onCheckpoint?: (checkpoint: Omit<Checkpoint, 'digest'>) => Promise<void>;
  /** A state of the same training to resume from. */
  readonly resume?: Checkpoint;
  /** Least time between two checkpoints. Default: 10 s. */
  readonly checkpointMs?: number;
}

/** Rows by whose loss the initial weights are chosen; see `beginInUnits`. */
const beginningRows = 4096;

const CHECKPOINT_MS = 10_000;

/** Steps between two reports inside an epoch. */
const reportEvery = 100;

/**
 * Fine-tunes a model on ONNX Runtime in this process: one session executes the training graph, its parameters and
 * moments fed back at every step. With examples kept for validation, the weights of the best epoch are kept.
 *
 * The runtime blocks the thread during a step, so this belongs in a process of its own.
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
  const original = decodeModel(modelBytes);
  const adapted = settings.adapters && addAdapters(original, settings.adapters, settings.seed);
  const model = adapted ? adapted.model : original;
  const { inputs, output, classes } = signatureOf(model, dataset, settings);
  checkTrainingDataset(dataset, settings.loss, classes);
  const random = new SeededRandom(settings.seed);
  const { training, validation } = splitRows(dataset, settings, random);
  const { optimizer, clipNorm, parentPenalty } = settings;
  const write = (loss: LossSpec, until: 'loss' | Optimizer, of = model) =>
    writeTrainingGraph(of, {
      loss,
      trainable: adapted ? adapted.trainable : settings.trainable,
      output,
      until,
      ...(clipNorm === undefined ? {} : { clipNorm }),
      ...(parentPenalty === undefined ? {} : { parentPenalty }),
    });
  const declared = lossSpec(settings.loss);
  const judge = write(declared, 'loss');
  const trained = new Set(judge.parameters.map(({ name }) => name));
  const units = findUnits(model.graph, { inputs, output, trained }, declared, dataset, training);
  const loss = standardisedLoss(declared, units);
  const data = standardised(dataset, units);
  const open = async (of: OnnxModel) =>
    TrainingSession.open(write(loss, optimizer, of), write(loss, 'loss', of), inputs, settings.threads ?? 1);
  const begun = await beginInUnits(model, judge, units, open, data, training);
  const { session } = begun;
  try {
    const { parameters, metrics } = await runEpochs(
      session,
      data,
      { training, validation },
      settings,
      random,
      {
        ...hooks,
        onProgress: (progress) => hooks.onProgress?.(inNaturalUnits(progress, lossFactor(declared, units))),
      },
    );
    const weights = naturalWeights(judge.parameters, parameters, units);
    const natural = inNaturalUnits(metrics, lossFactor(declared, units));
    const changed = adapted ? adapted.merge(weights) : weights;
    return { modelBytes: replaceInitializers(modelBytes, changed), metrics: natural };
  } finally {
    await session.close();
  }
}

/**
 * Opens the session. In standard units, the weights of a trained model must be converted first, and those of an untrained model must
 * not. Both are tried on some rows, and the one with the smaller loss is used.
 */
async function beginInUnits(
  model: OnnxModel,
  { parameters, initial }: TrainingGraph,
  units: NaturalUnits,
  open: (model: OnnxModel) => Promise<TrainingSession>,
  data: TrainingDataset,
  rows: Uint32Array,
): Promise<{ session: TrainingSession }> {
  if (units.inputs.length === 0 && !units.target) return { session: await open(model) };
  const changed = toStandard(cutApart(parameters, initial as Float32Array), units);
  const initializers = new Map(model.graph.initializers);
  for (const { name, dims } of parameters) initializers.set(name, float32Tensor(changed.get(name)!, dims));
  const asTrained = await open({ ...model, graph: { ...model.graph, initializers } });
  try {
    // In the order in which they lie: they may be in a file.
    const some = rows.slice(0, beginningRows).sort();
    const trainedLoss = await asTrained.lossOf(data, some);
    const asItIs = await open(model);
    const isUntrained = !(trainedLoss <= (await asItIs.lossOf(data, some)));
    await (isUntrained ? asTrained : asItIs).close();
    return { session: isUntrained ? asItIs : asTrained };
  } catch (error) {
    await asTrained.close();
    throw error;
  }
}

function cutApart(parameters: readonly Parameter[], values: Float32Array): Weights {
  return new Map(
    parameters.map(({ name, offset, length }) => [
      name,
      Float64Array.from(values.subarray(offset, offset + length)),
    ]),
  );
}

function inNaturalUnits<T extends { loss: number; validationLoss: number | null }>(
  told: T,
  factor: number,
): T {
  if (factor === 1) return told;
  const scaled = (loss: number | null) => (loss === null ? null : loss * factor);
  const before = 'validationLossBefore' in told ? (told.validationLossBefore as number | null) : undefined;
  return {
    ...told,
    loss: told.loss * factor,
    validationLoss: scaled(told.validationLoss),
    ...(before === undefined ? {} : { validationLossBefore: scaled(before) }),
  };
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
  { onProgress, signal, onCheckpoint, resume, checkpointMs = CHECKPOINT_MS }: TrainingHooks,
): Promise<{ parameters: Float32Array; metrics: TrainingMetrics }> {
  const judges = validation.length > 0;
  const schedule = settings.schedule ?? { kind: 'constant', warmup: 0 };
  const before = resume ? resume.lossBefore : judges ? await session.lossOf(dataset, validation) : null;
  let best = { epoch: 0, loss: before ?? Number.POSITIVE_INFINITY, parameters: session.parameters };
  let [step, epoch, loss] = [0, 0, Number.NaN];
  let under = { batches: 0, sum: 0, seen: 0 };
  if (resume) {
    [step, epoch, loss] = [resume.step, resume.epoch, resume.loss];
    best = { epoch: resume.bestEpoch, loss: resume.bestLoss, parameters: resume.best };
    under = resume.under;
    training.set(resume.order);
    random.resume(resume.random);
    session.restore(resume);
  }
  let saved = performance.now();
  const save = async (begun: Pick<Checkpoint, 'epoch' | 'random' | 'order'>, under: Checkpoint['under']) => {
    if (!onCheckpoint || performance.now() - saved < checkpointMs) return;
    await onCheckpoint({
      ...{ ...begun, under, step, loss, lossBefore: before, bestEpoch: best.epoch, bestLoss: best.loss },
      ...{ best: best.parameters, ...session.state },
    });
    saved = performance.now();
  };
  while (epoch < settings.epochs && !isPatienceOver(judges, epoch, best.epoch, settings.patience)) {
    const begun = { epoch, random: random.state, order: training.slice() };
    epoch++;
    const batches = drawBatches(dataset, training, settings, random);
    let { sum, seen } = under;
    for (let at = under.batches; at < batches.length; at++) {
      const rows = batches[at]!;
      if (signal?.aborted) throw new HotloopError('CANCELLED', 'the training was cancelled');
      step++;
      const rate = learningRateAt(settings.learningRate, schedule, step, batches.length * settings.epochs);
      const batchLoss = await session.step(dataset, rows, rate);
      if (!Number.isFinite(batchLoss)) throw diverged(epoch, step, batchLoss);
      sum += batchLoss * rows.length;
      seen += rows.length;
      if (step % reportEvery === 0) {
        onProgress?.({ epoch, epochs: settings.epochs, step, loss: sum / seen, validationLoss: null });
      }
      if (at < batches.length - 1) await save(begun, { batches: at + 1, sum, seen });
    }
    under = { batches: 0, sum: 0, seen: 0 };
    loss = sum / seen;
    const judged = judges ? await session.lossOf(dataset, validation) : null;
    if (judged !== null && !Number.isFinite(judged)) throw diverged(epoch, step, judged);
    if (judged === null || judged < best.loss) {
      best = { epoch, loss: judged ?? loss, parameters: session.parameters };
    }
    onProgress?.({ epoch, epochs: settings.epochs, step, loss, validationLoss: judged });
    await save({ epoch, random: random.state, order: training }, under);
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
): { inputs: readonly BoundInput[]; output: string; classes: number | null } {
  const { graph } = model;
  const inputs = bindInputs(
    graph.inputs.filter(({ name }) => !graph.initializers.has(name)),
    dataset,
  );
  const output = graph.outputs.find(({ name }) => name === settings.output) ?? graph.outputs[0];
  // What follows from the weights is surer than what the file declares, which may be an open dimension.
  const inferred = inferShapes(graph).get(output?.name ?? '')?.[1];
  const classes = typeof inferred === 'number' ? inferred : output?.shape?.[1];
  return {
    inputs,
    output: output?.name ?? '',
    classes: typeof classes === 'number' ? classes : null,
  };
}

/** Leaves out examples of weight 0, and draws those that validate. Groups that are ranked stay together. */
function splitRows(dataset: TrainingDataset, settings: TrainingSettings, random: SeededRandom): Split {
  const fraction = settings.validationFraction;
  const rows = Uint32Array.from(dataset.weights.keys()).filter((row) => dataset.weights[row]! > 0);
  if (settings.validationRows !== undefined) {
    const first = dataset.rows - settings.validationRows;
    return { training: rows.filter((row) => row < first), validation: rows.filter((row) => row >= first) };
  }
  const groups = needsGroups(lossSpec(settings.loss).name) ? dataset.groups : undefined;
  if (groups) {
    const numbers = [...new Set(rows.map((row) => groups[row]!))];
    random.shuffle(numbers);
    const kept = new Set(
      numbers.slice(0, Math.min(Math.round(numbers.length * fraction), numbers.length - 1)),
    );
    return {
      validation: rows.filter((row) => kept.has(groups[row]!)),
      training: rows.filter((row) => !kept.has(groups[row]!)),
    };
  }
  random.shuffle(rows);
  const kept = Math.min(Math.round(rows.length * fraction), rows.length - 1);
  return { validation: rows.slice(0, kept).sort(), training: rows.slice(kept) };
}

/** The batches of one epoch, in a new order. Of a loss that ranks, a batch takes whole groups. */
function drawBatches(
  { groups, features }: TrainingDataset,
  training: Uint32Array,
  { loss, batch }: TrainingSettings,
  random: SeededRandom,
): readonly Uint32Array[] {
  if (!groups || !needsGroups(lossSpec(loss).name)) {
    shuffleRows(training, features, random);
    return Array.from({ length: Math.ceil(training.length / batch) }, (_, i) =>
      training.subarray(i * batch, (i + 1) * batch),
    );
  }
  // A group is drawn by its first row.
  const byFirst = new Map(
    [...Map.groupBy(training, (row) => groups[row]!).values()].map((own) => [own[0]!, own]),
  );
  const order = Uint32Array.from(byFirst.keys());
  shuffleRows(order, features, random);
  const batches: Uint32Array[] = [];
  let rows: number[] = [];
  for (const first of order) {
    rows.push(...byFirst.get(first)!);
    if (rows.length < batch) continue;
    batches.push(Uint32Array.from(rows));
    rows = [];
  }
  if (rows.length > 0) batches.push(Uint32Array.from(rows));
  return batches;
}

function naturalWeights(parameters: readonly Parameter[], values: Float32Array, units: NaturalUnits) {
  const natural = toNatural(cutApart(parameters, values), units);
  return new Map(
    parameters.map(({ name, dims }) => [name, float32Tensor(natural.get(name)!, dims)] as const),
  );
}
