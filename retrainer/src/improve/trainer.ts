import type { scoreInProcess } from '../training/evaluator-process.ts';
import type { trainInProcess } from '../training/trainer-process.ts';

/** Where models are trained and scored: in child processes. */
export interface Trainer {
  readonly train: typeof trainInProcess;
  readonly score: typeof scoreInProcess;
}
