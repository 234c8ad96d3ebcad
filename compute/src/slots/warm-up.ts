import type { BatchCost } from '../batching/batch-cost.ts';
import type { WorkInput } from '../batching/work-input.ts';
import type { FrameTensor } from '../runner/frames.ts';
import type { ExecutionProvider, LoadedModel, TensorDescription } from '../runner/load-options.ts';
import { RunnerFailure, RunnerGone, type RunResult } from '../runner/runner.ts';
import { ELEMENT_BYTES, elementCount } from '../runner/tensor-layout.ts';
import type { BoundedRunner } from './bounded-runs.ts';
import { toleranceOf } from './compare-golden.ts';
import { FREE_DIMENSION, madeUpRows, realRows } from './probe-rows.ts';
import { judgeRows, type RowProbe, type RowVerdict } from './row-independence.ts';

const ROUNDS = 3;

export interface WarmUpOptions {
  readonly maxBatchRows: number;
  readonly executionProviders: readonly ExecutionProvider[];
  /** Inputs that the model is known to accept. */
  readonly examples: readonly (readonly WorkInput[])[];
  /** No new batch starts after this time, except those that show whether requests may share a run. */
  readonly budgetMs: number;
  /** False when run sharing need not be probed, or probing has cost a runner; then requests do not share runs. */
  readonly mayProbe: boolean;
}

export interface WarmUpResult {
  readonly rows: RowVerdict;
  /** Recent inputs that the model rejected. */
  readonly refused: readonly (readonly WorkInput[])[];
}

/** The runner ended, or took too long and was killed, while it ran the inputs of `step`. */
export class WarmUpLoss extends Error {
  readonly step: WarmUpStep;

  constructor(step: WarmUpStep, cause: RunnerGone) {
    super('a runner was lost while it warmed up', { cause });
    this.step = step;
  }
}

/** `recent` carries the inputs; those of the other steps are made up. */
export type WarmUpStep =
  | { readonly kind: 'recent'; readonly inputs: readonly WorkInput[] }
  | { readonly kind: 'made_up' }
  | { readonly kind: 'probe' };

/**
 * Runs a loaded version before it gets traffic: on recent real inputs where they fit, then on zeros, at growing batch
 * sizes, and learns what a batch costs. Also finds out whether requests may share a run: the first dimension must be
 * free in every input and output, and rows must give the same outputs together as alone. A sound model may reject
 * these inputs. Rejects WarmUpLoss.
 */
export async function warmUp(
  runner: BoundedRunner,
  recent: readonly (readonly WorkInput[])[],
  cost: BatchCost,
  options: WarmUpOptions,
): Promise<WarmUpResult> {
  const { model } = runner;
  const { executionProviders } = options;
  const until = performance.now() + options.budgetMs;
  const isLate = () => performance.now() > until;
  const usable: (readonly WorkInput[])[] = [];
  const refused: (readonly WorkInput[])[] = [];
  for (const inputs of recent) {
    if (isLate()) break;
    if (!fitsModel(model, inputs)) continue;
    const result = await attempt(runner, inputs.map(toFrameTensor), { kind: 'recent', inputs });
    (result ? usable : refused).push(inputs);
  }
  const rowsAreFree = [...model.inputs, ...model.outputs].every((tensor) => tensor.shape[0] === -1);
  const sizes = rowsAreFree ? powersOfTwo(options.maxBatchRows) : [1];
  for (const rows of sizes) {
    if (isLate()) break;
    if (!(await measure(runner, rows, cost))) break;
  }
  const probe: RowProbe = {
    run: async (tensors) => (await attempt(runner, tensors, { kind: 'probe' }))?.tensors,
    toleranceOf: (datatype, values) => toleranceOf({ executionProviders }, datatype, values),
    isLate,
  };
  if (!rowsAreFree || !options.mayProbe) return { rows: 'dependent', refused };
  // Real rows come first, because the model may reject made-up values.
  const sets = [...realRows([...options.examples, ...usable]), ...madeUpRows(model)];
  return { rows: await judgeRows(probe, sets), refused };
}

/** False when the model rejects zeros of a made-up shape. */
async function measure(runner: BoundedRunner, rows: number, cost: BatchCost): Promise<boolean> {
  const zeros = runner.model.inputs.map((input, index) => zerosOf(input, index, rows));
  for (let round = 0; round < ROUNDS; round++) {
    const result = await attempt(runner, zeros, { kind: 'made_up' });
    if (!result) return false;
    // The first run of a size is slower than later ones, so it is not counted.
    if (round > 0) cost.observe(rows, result.runUs);
  }
  return true;
}

/** Undefined when the model rejects the inputs. */
async function attempt(
  runner: BoundedRunner,
  tensors: readonly FrameTensor[],
  step: WarmUpStep,
): Promise<RunResult | undefined> {
  try {
    return await runner.run(tensors);
  } catch (error) {
    if (error instanceof RunnerFailure) return undefined;
    if (error instanceof RunnerGone) throw new WarmUpLoss(step, error);
    throw error;
  }
}

/** True when recent inputs, of any version, have the shapes that this version accepts. */
export function fitsModel(model: LoadedModel, inputs: readonly WorkInput[]): boolean {
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
  return {
    index: input.index ?? index,
    datatype: input.datatype,
    shape: input.shape,
    pieces: [input.contents],
  };
}

function powersOfTwo(most: number): number[] {
  const sizes: number[] = [];
  for (let size = 1; size <= Math.min(most, 256); size *= 2) sizes.push(size);
  return sizes;
}

function zerosOf(input: TensorDescription, index: number, rows: number): FrameTensor {
  const shape = input.shape.map((dimension, axis) => {
    if (dimension !== -1) return dimension;
    return axis === 0 ? rows : FREE_DIMENSION;
  });
  // Zero is all-zero bytes in every numeric format; an empty text is a length prefix of zero.
  const contents = new Uint8Array(elementCount(shape) * (ELEMENT_BYTES[input.datatype] || 4));
  return { index, datatype: input.datatype, shape, pieces: [contents] };
}
