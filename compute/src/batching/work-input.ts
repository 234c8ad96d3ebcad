import type { ReceivedTensor } from '../runner/frames.ts';

/** One input of a piece of work, in the order of the model's inputs. */
export type WorkInput = Pick<ReceivedTensor, 'datatype' | 'shape' | 'contents'>;
