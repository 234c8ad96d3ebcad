import type { FrameTensor } from '../runner/frames.ts';
import type { WorkInput } from './work-input.ts';

/**
 * Concatenates the inputs of a batch along the first dimension, without copying. A request that runs alone keeps its
 * shapes.
 */
export function joinInputs(
  works: readonly { readonly inputs: readonly WorkInput[] }[],
  rows: number,
): FrameTensor[] {
  const [first] = works;
  return (first?.inputs ?? []).map((input, index) => ({
    index: input.index ?? index,
    datatype: input.datatype,
    shape: works.length === 1 ? input.shape : [rows, ...input.shape.slice(1)],
    pieces: works.map((work) => work.inputs[index]?.contents ?? new Uint8Array()),
  }));
}
