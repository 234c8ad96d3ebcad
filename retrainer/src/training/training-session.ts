import { HotloopError } from '@hotloop/proto/errors.ts';
import * as ort from 'onnxruntime-node';
import type { BoundInput } from './bind-inputs.ts';
import { rowTensors } from './row-tensors.ts';
import { openRuntimeSession, runRuntimeSession } from './runtime-session.ts';
import type { TrainingDataset } from './training-dataset.ts';
import { type TrainingGraph, trainingNames } from './write-training-graph.ts';

const refusedGraph = 'the runtime cannot train this model: it refuses the training graph written from it';
const refusedStep = 'the runtime stopped in a training step: the shapes in the model do not fit together';

/** Rows per run when a loss is only measured. */
const judgingBatch = 4096;

/**
 * Executes a training graph: holds the parameters and the optimizer's state, and advances them one batch at a time.
 * Owns two runtime sessions; the caller closes it. Calls must not overlap.
 */
export class TrainingSession {
  readonly #training: ort.InferenceSession;
  readonly #judging: ort.InferenceSession;
  readonly #inputs: readonly BoundInput[];
  #parameters: ort.Tensor;
  #firstMoment: ort.Tensor;
  #secondMoment: ort.Tensor;
  #steps = 0;

  private constructor(
    sessions: { training: ort.InferenceSession; judging: ort.InferenceSession },
    inputs: readonly BoundInput[],
    initial: Float32Array,
  ) {
    this.#training = sessions.training;
    this.#judging = sessions.judging;
    this.#inputs = inputs;
    const zeros = () => new ort.Tensor('float32', new Float32Array(initial.length), [initial.length]);
    this.#parameters = new ort.Tensor('float32', initial.slice(), [initial.length]);
    this.#firstMoment = zeros();
    this.#secondMoment = zeros();
  }

  /**
   * @param graph a training step in float32, and `judge`, the loss graph of the same model and trainable weights.
   * @param inputs the model's inputs, with the columns that fill them.
   */
  static async open(
    graph: TrainingGraph,
    judge: TrainingGraph,
    inputs: readonly BoundInput[],
    threads: number,
  ): Promise<TrainingSession> {
    const training = await openRuntimeSession(graph.bytes, threads, refusedGraph);
    try {
      const judging = await openRuntimeSession(judge.bytes, threads, refusedGraph);
      return new TrainingSession({ training, judging }, inputs, graph.initial as Float32Array);
    } catch (error) {
      await training.release();
      throw error;
    }
  }

  /** @returns the trained weights as they are now; later steps do not change them. */
  get parameters(): Float32Array {
    return this.#parameters.data as Float32Array;
  }

  /** The optimizer's state with the weights, to go on from later. */
  get state(): {
    readonly parameters: Float32Array;
    readonly firstMoment: Float32Array;
    readonly secondMoment: Float32Array;
  } {
    return {
      parameters: this.parameters,
      firstMoment: this.#firstMoment.data as Float32Array,
      secondMoment: this.#secondMoment.data as Float32Array,
    };
  }

  /** Goes on from a state after so many steps. Throws FAILED_PRECONDITION for one of another graph. */
  restore(state: TrainingSession['state'] & { readonly step: number }): void {
    const { length } = this.parameters;
    if (state.parameters.length !== length)
      throw new HotloopError('FAILED_PRECONDITION', 'the checkpoint is of another training');
    const tensor = (values: Float32Array) => new ort.Tensor('float32', values.slice(), [length]);
    this.#parameters = tensor(state.parameters);
    this.#firstMoment = tensor(state.firstMoment);
    this.#secondMoment = tensor(state.secondMoment);
    this.#steps = state.step;
  }

  /** Learns from the given rows. @returns their weighted mean loss before the update. */
  async step(dataset: TrainingDataset, rows: Uint32Array, learningRate: number): Promise<number> {
    this.#steps++;
    const results = await this.#run(this.#training, {
      ...this.#feeds(dataset, rows),
      [trainingNames.firstMoment]: this.#firstMoment,
      [trainingNames.secondMoment]: this.#secondMoment,
      [trainingNames.step]: new ort.Tensor('float64', Float64Array.of(this.#steps), []),
      [trainingNames.learningRate]: new ort.Tensor('float64', Float64Array.of(learningRate), []),
    });
    this.#parameters = results[trainingNames.newParameters]!;
    this.#firstMoment = results[trainingNames.newFirstMoment]!;
    this.#secondMoment = results[trainingNames.newSecondMoment]!;
    return (results[trainingNames.loss]!.data as Float32Array)[0]!;
  }

  /** @returns the weighted mean loss of the given rows, learning nothing. */
  async lossOf(dataset: TrainingDataset, rows: Uint32Array): Promise<number> {
    let [sum, total] = [0, 0];
    for (let start = 0; start < rows.length; start += judgingBatch) {
      const part = rows.subarray(start, start + judgingBatch);
      const results = await this.#run(this.#judging, this.#feeds(dataset, part));
      const weight = part.reduce((whole, row) => whole + dataset.weights[row]!, 0);
      sum += (results[trainingNames.loss]!.data as Float32Array)[0]! * weight;
      total += weight;
    }
    return sum / total;
  }

  #run(session: ort.InferenceSession, feeds: Record<string, ort.Tensor>) {
    return runRuntimeSession(session, feeds, session.outputNames, refusedStep);
  }

  #feeds(dataset: TrainingDataset, rows: Uint32Array): Record<string, ort.Tensor> {
    const labels = new Float32Array(rows.length);
    const weights = new Float32Array(rows.length);
    for (const [i, row] of rows.entries()) {
      labels[i] = dataset.labels[row]!;
      weights[i] = dataset.weights[row]!;
    }
    const groups = dataset.groups;
    const isGrouped = groups && this.#training.inputNames.includes(trainingNames.groups);
    const numbers = isGrouped && BigInt64Array.from(rows, (row) => BigInt(groups[row]!));
    return {
      ...(numbers ? { [trainingNames.groups]: new ort.Tensor('int64', numbers, [rows.length]) } : {}),
      ...rowTensors(this.#inputs, dataset, rows),
      [trainingNames.labels]: new ort.Tensor('float32', labels, [rows.length]),
      [trainingNames.weights]: new ort.Tensor('float32', weights, [rows.length]),
      [trainingNames.parameters]: this.#parameters,
    };
  }

  async close(): Promise<void> {
    await this.#training.release();
    await this.#judging.release();
  }
}
