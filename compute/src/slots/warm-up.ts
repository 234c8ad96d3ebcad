import type { BatchCost } from '../batching/batch-cost.ts';
import type { WorkInput } from '../batching/batcher.ts';
import type { FrameTensor } from '../runner/frames.ts';
import type { LoadedModel, TensorDescription } from '../runner/load-options.ts';
import { type Runner, RunnerFailure } from '../runner/runner.ts';
import { ELEMENT_BYTES, elementCount } from '../runner/tensor-layout.ts';

const ROUNDS = 3;
/** A free dimension other than the first is warmed at this size; nothing is known of it. */
const FREE_DIMENSION = 1;
const TOLERANCE = 1e-3;
const PROBE_ROWS = 4;

export interface WarmUpOptions {
  readonly maxBatchRows: number;
  /** No new batch begins after this. */
  readonly budgetMs: number;
}

export interface WarmUpResult {
  /** True when rows of one run do not influence each other, as far as a probe can tell. */
  readonly shareable: boolean;
}

/**
 * Runs a loaded version before it takes traffic: on recent real inputs where they fit, else on zeros, at growing batch
 * sizes, and learns what a batch costs. Also finds out whether requests may share a run: the first dimension must be
 * free in every input and output, and rows run together must come out as they do alone.
 * Rejects RunnerFailure when the model cannot run even that.
 */
export async function warmUp(
  runner: Runner,
  recent: readonly (readonly WorkInput[])[],
  cost: BatchCost,
  options: WarmUpOptions,
): Promise<WarmUpResult> {
  const { model } = runner;
  const until = performance.now() + options.budgetMs;
  const fitting = recent.filter((inputs) => fits(model, inputs));
  for (const inputs of fitting) await runner.run(inputs.map(toFrameTensor));
  const rowsAreFree = [...model.inputs, ...model.outputs].every((tensor) => tensor.shape[0] === -1);
  const sizes = rowsAreFree ? powersOfTwo(options.maxBatchRows) : [1];
  for (const rows of sizes) {
    if (performance.now() > until) break;
    const zeros = model.inputs.map((input, index) => filled(input, index, rows, () => 0));
    // A model may refuse zeros of an invented shape and still be sound; the first real request will tell.
    const first = await runner.run(zeros).catch(ignoreRefusal);
    if (!first) break;
    for (let round = 1; round < ROUNDS; round++) cost.observe(rows, (await runner.run(zeros)).runUs);
  }
  return { shareable: rowsAreFree && (await rowsAreIndependent(runner)) };
}

function ignoreRefusal(error: unknown): undefined {
  if (!(error instanceof RunnerFailure)) throw error;
  return undefined;
}

function fits(model: LoadedModel, inputs: readonly WorkInput[]): boolean {
  return (
    inputs.length === model.inputs.length &&
    model.inputs.every((description, index) => {
      const input = inputs[index];
      return (
        input?.datatype === description.datatype &&
        input.shape.length === description.shape.length &&
        description.shape.every((dimension, axis) => dimension === -1 || dimension === input.shape[axis])
      );
    })
  );
}

function toFrameTensor(input: WorkInput, index: number): FrameTensor {
  return { index, datatype: input.datatype, shape: input.shape, pieces: [input.contents] };
}

function powersOfTwo(most: number): number[] {
  const sizes: number[] = [];
  for (let size = 1; size <= Math.min(most, 256); size *= 2) sizes.push(size);
  return sizes;
}

function filled(
  input: TensorDescription,
  index: number,
  rows: number,
  value: (element: number) => number,
): FrameTensor {
  const shape = input.shape.map((dimension, axis) => {
    if (dimension !== -1) return dimension;
    return axis === 0 ? rows : FREE_DIMENSION;
  });
  const count = elementCount(shape);
  // Zeros are zeros in every format; an empty text is a length of zero.
  const contents = new Uint8Array(count * (ELEMENT_BYTES[input.datatype] || 4));
  if (input.datatype === 'FP32') {
    const floats = new Float32Array(contents.buffer);
    for (let element = 0; element < count; element++) floats[element] = value(element);
  }
  return { index, datatype: input.datatype, shape, pieces: [contents] };
}

/** Runs different rows together and one by one. Only float inputs are varied; others stay zero. */
async function rowsAreIndependent(runner: Runner): Promise<boolean> {
  const { inputs } = runner.model;
  const wave = (element: number) => Math.sin(element * 12.9898 + 1);
  const together = inputs.map((input, index) => filled(input, index, PROBE_ROWS, wave));
  const all = await runner.run(together).catch(ignoreRefusal);
  if (!all) return false;
  if (all.tensors.some((output) => output.shape[0] !== PROBE_ROWS)) return false;
  for (let row = 0; row < PROBE_ROWS; row++) {
    const alone = await runner.run(together.map((tensor) => rowOf(tensor, row))).catch(ignoreRefusal);
    if (!alone) return false;
    for (const [index, output] of alone.tensors.entries()) {
      const shared = all.tensors[index];
      if (output.datatype !== 'FP32' || !shared) continue;
      const width = output.contents.length;
      if (!agree(output.contents, shared.contents.subarray(row * width, (row + 1) * width))) return false;
    }
  }
  return true;
}

function rowOf(tensor: FrameTensor, row: number): FrameTensor {
  const bytes = tensor.pieces[0] ?? new Uint8Array();
  const width = bytes.length / PROBE_ROWS;
  return {
    ...tensor,
    shape: [1, ...tensor.shape.slice(1)],
    pieces: [bytes.subarray(row * width, (row + 1) * width)],
  };
}

function agree(a: Uint8Array, b: Uint8Array): boolean {
  const left = Buffer.from(a.buffer, a.byteOffset, a.byteLength);
  const right = Buffer.from(b.buffer, b.byteOffset, b.byteLength);
  for (let at = 0; at + 4 <= left.length; at += 4) {
    const x = left.readFloatLE(at);
    const y = right.readFloatLE(at);
    if (Number.isNaN(x) && Number.isNaN(y)) continue;
    if (!(Math.abs(x - y) <= TOLERANCE * Math.max(1, Math.abs(x)) || x === y)) return false;
  }
  return left.length === right.length;
}
