import type { FrameTensor } from '../runner/frames.ts';
import type { WorkInput } from './work-input.ts';

/** The inputs of a batch, one behind another; what runs alone keeps its shapes. Copies nothing. */
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
