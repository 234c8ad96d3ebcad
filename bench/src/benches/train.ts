import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { allCells } from '@hotloop/retrainer/training/feature-cells.ts';
import { DIFFERENTIABLE } from '@hotloop/retrainer/training/gradients/gradient-rules.ts';
import { checkOperator } from '@hotloop/retrainer/training/testing/check-operator.ts';
import type { TrainingDataset } from '@hotloop/retrainer/training/training-dataset.ts';
import { TrainingSession } from '@hotloop/retrainer/training/training-session.ts';
import { type TrainingGraph, writeTrainingGraph } from '@hotloop/retrainer/training/write-training-graph.ts';
import type { Bench, BenchOptions } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';
import { type TrainModel, trainConv, trainLstm, trainMlp } from '../models/train-models.ts';
import { datasetBench } from './training/dataset.ts';
import { memoryBench } from './training/memory.ts';
import { servingBench } from './training/serving.ts';

const SEEDS = 25;
const ROWS = 1024;
const CURVE_STEPS = 200;
const RATE = 1e-3;
const peerFile = fileURLToPath(new URL('../peers/train-torch.py', import.meta.url));

const PARTS: Readonly<Record<string, Bench>> = {
  steps,
  serving: servingBench,
  dataset: datasetBench,
  memory: memoryBench,
};

/** Gradients and steps, serving during training, a large dataset, and the memory of a training; `--only` runs one. */
export const trainBench: Bench = async (options) => {
  const { only } = options;
  if (only !== undefined && !Object.hasOwn(PARTS, only))
    throw new RangeError(`train has the parts ${Object.keys(PARTS).join(', ')}, not ${only}`);
  const figures: Figure[] = [];
  for (const [name, part] of Object.entries(PARTS))
    if (only === undefined || only === name) figures.push(...(await part(options)));
  return figures;
};

/** Gradients compared with float64; training steps compared with PyTorch's, if the PATH's python3 has it. */
async function steps(options: BenchOptions): Promise<Figure[]> {
  const worst: number[] = [];
  for (const operator of DIFFERENTIABLE) {
    const found: number[] = [];
    for (let seed = 1; seed <= SEEDS; seed++) found.push((await checkOperator(operator, seed)).worst);
    worst.push(Math.max(...found));
  }
  options.say(`gradient: ${DIFFERENTIABLE.length} operators, ${SEEDS} graphs each`);
  const figures = [figure('gradient', [Math.max(...worst)], { atMost: 1e-5 })];
  const hasTorch = await torchIsInstalled();
  if (!hasTorch)
    options.say(
      'comparison with PyTorch skipped: python3 on the PATH cannot import torch (pip install torch)',
    );
  const overForward: number[] = [];
  const beside: Comparison[] = [];
  for (const model of [trainMlp(), trainConv(), trainLstm()]) {
    const own = await trainHere(model, options);
    overForward.push(...own.overForward);
    options.say(`${model.kind}: ${Math.round(own.samplesPerSecond)} samples a second`);
    if (hasTorch) beside.push(await compare(model, own, options));
  }
  figures.push(figure('step_over_forward', overForward, { atMost: 4 }));
  return [...figures, ...besideTorch(beside)];
}

interface OwnRun {
  readonly curve: readonly number[];
  readonly gradient: Float32Array;
  readonly samplesPerSecond: number;
  readonly overForward: readonly number[];
  readonly graph: TrainingGraph;
}

interface Comparison {
  readonly kind: TrainModel['kind'];
  readonly gradient: number;
  readonly curve: number;
  readonly speed: readonly number[];
}

const GOALS = { mlp: 1, conv: 0.7, lstm: 0.5 } as const;

function besideTorch(beside: readonly Comparison[]): Figure[] {
  if (beside.length === 0) return [];
  return [
    figure('gradient_torch', [Math.max(...beside.map(({ gradient }) => gradient))], { atMost: 1e-4 }),
    figure('curve_torch', [Math.max(...beside.map(({ curve }) => curve))], { atMost: 1e-4 }),
    ...beside.map(({ kind, speed }) => figure(`train_${kind}`, speed, { atLeast: GOALS[kind] })),
  ];
}

function datasetFor({ rowShape }: TrainModel): TrainingDataset {
  const random = new SeededRandom(3);
  const columns = rowShape.reduce((a, b) => a * b, 1);
  const features = Float32Array.from({ length: ROWS * columns }, () => random.normal());
  const labels = Float32Array.from({ length: ROWS }, (_, row) => (features[row * columns]! > 0 ? 1 : 0));
  return { rows: ROWS, columns, features, labels, weights: new Float32Array(ROWS).fill(1) };
}

const batchOf = ({ batch }: TrainModel, step: number) =>
  Uint32Array.from({ length: batch }, (_, i) => (step % (ROWS / batch)) * batch + i);

async function trainHere(model: TrainModel, { seconds, rounds }: BenchOptions): Promise<OwnRun> {
  const data = datasetFor(model);
  const loss = 'binary_cross_entropy';
  const { rowShape } = model;
  const width = data.columns;
  const inputs = [{ name: 'input', dtype: 'float32', start: 0, width, rowShape } as const];
  const judge = writeTrainingGraph(model.model, { loss, until: 'loss' });
  const graph = writeTrainingGraph(model.model, { loss, until: { kind: 'adam' } });
  const descent = writeTrainingGraph(model.model, { loss, until: { kind: 'sgd' } });
  // One step of gradient descent with rate 1 from the initial weights is the gradient.
  const slope = await TrainingSession.open(descent, judge, inputs, 1);
  await slope.step(data, batchOf(model, 0), 1);
  const gradient = slope.parameters.map((value, i) => Number(graph.initial[i]) - value);
  await slope.close();
  const session = await TrainingSession.open(graph, judge, inputs, 1);
  try {
    const curve: number[] = [];
    for (let step = 0; step < CURVE_STEPS; step++)
      curve.push(await session.step(data, batchOf(model, step), RATE));
    const speeds: number[] = [];
    const overForward: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const turn = (1000 * seconds) / rounds;
      const step = await perSecond(turn, (i) => session.step(data, batchOf(model, i), RATE));
      const forward = await perSecond(turn / 2, (i) => session.lossOf(data, batchOf(model, i)));
      speeds.push(step * model.batch);
      overForward.push(forward / step);
    }
    const samplesPerSecond = speeds.toSorted((a, b) => a - b)[speeds.length >> 1]!;
    return { curve, gradient, samplesPerSecond, overForward, graph };
  } finally {
    await session.close();
  }
}

async function perSecond(milliseconds: number, run: (index: number) => Promise<unknown>): Promise<number> {
  const start = performance.now();
  let done = 0;
  while (performance.now() - start < milliseconds) await run(done++);
  return (1000 * done) / (performance.now() - start);
}

async function compare(model: TrainModel, own: OwnRun, options: BenchOptions): Promise<Comparison> {
  const data = datasetFor(model);
  const named = (values: ArrayLike<number>) =>
    Object.fromEntries(
      own.graph.parameters.map(({ name, offset, length }) => {
        const cut = Array.from({ length }, (_, i) => values[offset + i]!);
        return [name, model.toTorch(name, cut)] as const;
      }),
    );
  const peer = await askTorch({
    kind: model.kind,
    sizes: model.sizes,
    batch: model.batch,
    steps: CURVE_STEPS,
    rate: RATE,
    weights: named(own.graph.initial),
    x: Array.from(allCells(data)),
    y: Array.from(data.labels),
    seconds: options.seconds,
  });
  const again = await trainHere(model, options);
  const gradients = Object.entries(named(own.gradient)).map(([name, values]) => {
    const theirs = peer.gradient[name]!;
    const largest = theirs.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    return values.reduce((max, value, i) => Math.max(max, Math.abs(value - theirs[i]!)), 0) / largest;
  });
  const curve = peer.curve.map((theirs, i) => Math.abs(own.curve[i]! - theirs) / theirs);
  return {
    kind: model.kind,
    gradient: Math.max(...gradients),
    curve: Math.max(...curve),
    // Before and after the peer's turn.
    speed: [own, again].map(({ samplesPerSecond }) => samplesPerSecond / peer.samples_per_second),
  };
}

interface TorchRun {
  readonly gradient: Readonly<Record<string, readonly number[]>>;
  readonly curve: readonly number[];
  readonly samples_per_second: number;
}

async function askTorch(job: object): Promise<TorchRun> {
  const child = spawn('python3', [peerFile], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify(job));
  return JSON.parse(await text(child.stdout)) as TorchRun;
}

function torchIsInstalled(): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn('python3', ['-c', 'import torch'], { stdio: 'ignore' });
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
  });
}
