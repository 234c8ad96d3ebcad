import type { ReceivedTensor } from '../runner/frames.ts';

/**
 * One input of a request. A list of them has the order of the model's inputs; inputs that override a default come
 * last.
 */
export interface WorkInput extends Pick<ReceivedTensor, 'datatype' | 'shape' | 'contents'> {
  /**
   * Only for an input that overrides a default: its index among all inputs of the model. The index of the others is
   * their position in the list.
   */
  readonly index?: number | undefined;
}
