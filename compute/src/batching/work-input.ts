import type { ReceivedTensor } from '../runner/frames.ts';

/** One input of a piece of work, in the order of the model's inputs; those with a default come last, where the request gives them. */
export interface WorkInput extends Pick<ReceivedTensor, 'datatype' | 'shape' | 'contents'> {
  /** Of one with a default: its place among all inputs of the model. Absent for the others, whose place is that in the list. */
  readonly index?: number | undefined;
}
